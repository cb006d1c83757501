"""Settings of all stages, from one YAML file; what it leaves out has the default of the stage."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import yaml
from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as validated

from training.data.loader import Mix
from training.rivals.classifier import RivalSettings
from training.stages.encoder import EncoderSettings
from training.stages.head import HeadSettings
from training.stages.scratch import ScratchSettings
from training.stages.text import TextSettings

DEFAULT = Path(__file__).parent / "configs" / "default.yaml"


@dataclass(frozen=True, kw_only=True)
class PrepareSettings:
    """What goes into the store.

    Parameters:
        labelled: files or folders below the data folder, of items on white with colours.
        street: likewise, of people's own photos without.
        cap: at most this many cut-outs a colour.
    """

    labelled: tuple[str, ...] = ("catalogue.parquet", "studio.parquet")
    street: tuple[str, ...] = ("street-unlabelled.parquet",)
    cap: int = 2200


@dataclass(frozen=True, kw_only=True)
class PseudoSettings:
    """How photos get their labels: by eye where there is such a list, else, for the second round, by the first one.

    Parameters:
        by_eye: CSV (``id,colour,alt``) of labels given to street photos by eye, a path or a file in
            ``training/configs``; None for none.
        shops_by_eye: likewise of the shops' photos; what is learnt from them corrects the others' labels.
        keep: share of each predicted colour, the surest first.
        floor: confidence under which nothing is kept.
        sharpen: exponent of the probabilities before they are normalised again.
    """

    by_eye: str | None = None
    shops_by_eye: str | None = None
    keep: float = 0.7
    floor: float = 0.45
    sharpen: float = 1.5


@validated(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class Config:
    """One file for a whole model.

    Parameters:
        model: name of a file in ``towers/configs``, a model that open_clip knows, or a local ``.json``.
        pretrained: its weights: a tag, a local file, or None for none (a ``local-dir:`` or ``hf-hub:`` model brings its
            own). Such a base keeps its text tower, unless ``encoder.text_rate`` tunes it.
        prepare, text, scratch, encoder, pseudo, head, rivals: settings of the stages.
        mix: what the encoder's batches are made of.
        street_mix: likewise once street photos have pseudo-labels, for encoder and head.
        street_encoder: settings of the encoder's second round, with pseudo-labels.
        first_share: of the first round's weights in the mean of both, which is kept (model soups, arXiv 2203.05482).
        served_side: of the pictures in service, in pixels; may be larger than in training, where augmentation shows
            items larger than they are (FixRes, arXiv 1906.06423).
    """

    model: str = "colour-lite2"
    pretrained: str | None = None
    prepare: PrepareSettings = field(default_factory=PrepareSettings)
    text: TextSettings = field(default_factory=TextSettings)
    scratch: ScratchSettings = field(default_factory=ScratchSettings)
    encoder: EncoderSettings = field(default_factory=EncoderSettings)
    mix: Mix = field(default_factory=Mix)
    street_mix: Mix = field(default_factory=lambda: Mix(street=0.45))
    street_encoder: EncoderSettings = field(
        default_factory=lambda: EncoderSettings(steps=400, rate=1.2e-3, ema=0.99, seed=5)
    )
    first_share: float = 0.4
    served_side: int = 128
    pseudo: PseudoSettings = field(default_factory=PseudoSettings)
    head: HeadSettings = field(default_factory=HeadSettings)
    rivals: RivalSettings = field(default_factory=RivalSettings)


def load(path: Path | None) -> Config:
    """Read a YAML file.

    Parameters:
        path: None is ``DEFAULT``, the settings of the committed model.

    Raises:
        ValueError: the file holds something that no stage knows, or a value of a wrong type.
    """
    path = path or DEFAULT
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        return TypeAdapter(Config).validate_python(content)
    except (yaml.YAMLError, ValidationError) as error:
        raise ValueError(f"{path}: {error}") from error


def beside_settings(name: str | None) -> Path | None:
    """A list of labels given by eye: a path, or a file in ``training/configs``; None for none."""
    if name is None or Path(name).is_file():
        return None if name is None else Path(name)
    return Path(__file__).parent / "configs" / name
