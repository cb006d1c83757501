"""The tokenizer of any open_clip model as one ``tokenizer.json`` that pads and cuts by itself: what is served."""

from __future__ import annotations

from typing import Any

import open_clip
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors

from training.towers.clip import registered
from training.towers.tokenizer import encode

_SAMPLES = ("", "бордовое платье 42 р.", "A photo of a burgundy dress!", "it's  O'stin\tXL", "новая " * 200)
_CLIP_WORDS = r"<start_of_text>|<end_of_text>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"


def tokenizer_of(name: str) -> Tokenizer:
    """The tokenizer that open_clip chooses for a model.

    Raises:
        ValueError: it cannot be written as a ``tokenizer.json`` that gives the same tokens.
    """
    theirs: Any = open_clip.get_tokenizer(registered(name))
    if isinstance(theirs, open_clip.SimpleTokenizer):
        ours, pad, length = _clip(theirs), 0, theirs.context_length
    else:
        # transformers' fast tokenizers are this library's; the others (SigLIP's) hold one too.
        fast = theirs.tokenizer
        ours, pad, length = (
            Tokenizer.from_str(fast.backend_tokenizer.to_str()),
            fast.pad_token_id,
            theirs.context_length,
        )
    ours.enable_truncation(length)
    ours.enable_padding(length=length, pad_id=pad, pad_token=ours.id_to_token(pad))
    wanted, found = theirs(list(_SAMPLES)), encode(ours, list(_SAMPLES))
    if wanted.shape != found.shape or not bool((wanted == found).all()):
        raise ValueError(f"the tokenizer of {name} cannot be written as a tokenizer.json that gives the same tokens")
    return ours


def _clip(theirs: Any) -> Tokenizer:
    """OpenAI's byte-pair encoding, lower-cased, each word closed by ``</w>``."""
    start, end = (theirs.encoder[token] for token in ("<start_of_text>", "<end_of_text>"))
    bpe = models.BPE(vocab=theirs.encoder, merges=list(theirs.bpe_ranks), end_of_word_suffix="</w>")
    tokenizer = Tokenizer(bpe)
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    words = pre_tokenizers.Split(Regex(_CLIP_WORDS), behavior="removed", invert=True)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [words, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<start_of_text> $A <end_of_text>",
        special_tokens=[("<start_of_text>", start), ("<end_of_text>", end)],
    )
    return tokenizer
