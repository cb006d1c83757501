"""The default text tower's tokenizer: byte-level BPE over lower-cased titles, trained here, one JSON file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

PAD = 0


def train(titles: list[str], vocab_size: int, context_length: int) -> Tokenizer:
    """A BPE tokenizer that pads and cuts by itself, so that the JSON file is all that serving needs.

    «ё» is folded into «е», since people write both.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFKC(), normalizers.Lowercase(), normalizers.Replace("ё", "е"), normalizers.Replace("-", " - ")]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=["<pad>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(titles, trainer)
    tokenizer.enable_truncation(context_length)
    tokenizer.enable_padding(length=context_length, pad_id=PAD, pad_token="<pad>")  # noqa: S106  no password
    return tokenizer


def encode(tokenizer: Tokenizer, texts: list[str]) -> torch.Tensor:
    """Token ids, int64 [B, context_length]."""
    return torch.from_numpy(np.array([e.ids for e in tokenizer.encode_batch(texts)], np.int64))


def load(path: Path) -> Tokenizer:
    """Read ``tokenizer.json``."""
    return Tokenizer.from_file(str(path))
