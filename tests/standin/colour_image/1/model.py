"""See ``standin.py``, two folders up."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
from standin import Image as TritonPythonModel
