"""Small ONNX graphs of the three models' interfaces, with answers that a test can work out by itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import parser
from tokenizers import Tokenizer, models, pre_tokenizers

from training.serving.repository import HEAD, IMAGE, TEXT, WHEEL, Wrapping, activate, add_version
from worker.colours import Colour

WIDTH, SIDE, LENGTH = 18, 4, 6

# The mean colour six times over, normalised; plus a little, so that black has a direction too.
_IMAGE = f"""<ir_version: 8, opset_import: ["" : 17]>
image (uint8[n,{SIDE},{SIDE},3] pixels) => (float[n,{WIDTH}] embedding) {{
    scaled = Cast<to = 1>(pixels)
    mean = ReduceMean<axes = [1, 2], keepdims = 0>(scaled)
    some = Constant<value = float {{1.0}}>()
    raised = Add(mean, some)
    wide = Concat<axis = 1>(raised, raised, raised, raised, raised, raised)
    embedding = LpNormalization<axis = 1, p = 2>(wide)
}}"""
_TEXT = f"""<ir_version: 8, opset_import: ["" : 17]>
text (int64[n,{LENGTH}] ids) => (float[n,{WIDTH}] embedding) {{
    numbers = Cast<to = 1>(ids)
    some = Constant<value = float {{1.0}}>()
    raised = Add(numbers, some)
    wide = Concat<axis = 1>(raised, raised, raised)
    embedding = LpNormalization<axis = 1, p = 2>(wide)
}}"""
_HEAD = f"""<ir_version: 8, opset_import: ["" : 17]>
head (float[n,{WIDTH}] image_embedding, float[n,{WIDTH}] text_embedding) => (float[n,18] probabilities) {{
    both = Add(image_embedding, text_embedding)
    probabilities = Softmax<axis = 1>(both)
}}"""


def build(repository: Path, work: Path, wrapping: Wrapping = WHEEL) -> None:
    """A complete repository with version 1 of each model, made active."""
    work.mkdir(parents=True, exist_ok=True)
    for name, text in ((IMAGE, _IMAGE), (TEXT, _TEXT), (HEAD, _HEAD)):
        onnx.save(parser.parse_model(text), str(work / f"{name}.onnx"))
    np.savez(work / "golden.npz", none=np.zeros(0))
    tokenizer = Tokenizer(models.WordLevel({"<pad>": 0, "red": 1, "dress": 2, "?": 3}, unk_token="?"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.enable_truncation(LENGTH)
    tokenizer.enable_padding(length=LENGTH, pad_id=0, pad_token="<pad>")
    tokenizer.save(str(work / "tokenizer.json"))
    golden = work / "golden.npz"
    image = add_version(
        repository,
        IMAGE,
        1,
        {"model.onnx": work / f"{IMAGE}.onnx", "golden.npz": golden},
        {"side": str(SIDE), "width": str(WIDTH)},
        wrapping=wrapping,
    )
    text = add_version(
        repository,
        TEXT,
        1,
        {"model.onnx": work / f"{TEXT}.onnx", "golden.npz": golden, "tokenizer.json": work / "tokenizer.json"},
        {"width": str(WIDTH)},
        wrapping=wrapping,
    )
    add_version(
        repository,
        HEAD,
        1,
        {"model.onnx": work / f"{HEAD}.onnx", "golden.npz": golden},
        {"image_fingerprint": image, "text_fingerprint": text, "labels": ",".join(Colour), "threshold": "0.5"},
        wrapping=wrapping,
    )
    activate(repository, image=1, text=1, head=1)
