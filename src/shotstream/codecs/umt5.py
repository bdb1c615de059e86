"""UMT5, the text encoder of Wan, through transformers: 512 tokens, padding zeroed (and attended to by the model).

The encoder of the published model holds 5.7 billion numbers. Its weights are read only when a prompt comes whose
embedding is not remembered, and stay memory-mapped on a CPU.

Axes: N captions · L tokens · D numbers per token
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
from tokenizers import Tokenizer
from torch import Tensor

from shotstream.codecs.embedding_store import EmbeddingStore, padded
from shotstream.codecs.weight_folder import empty_from_folder, fill_from_folder, weight_files
from shotstream.core.errors import WeightsError
from shotstream.core.files import fingerprint_all

if TYPE_CHECKING:
    from transformers import UMT5EncoderModel

TEXT_LEN = 512  # tokens Wan was trained with
Placement = Literal["device", "streamed", "cpu"]


class Umt5TextEncoder:
    """A :class:`shotstream.codecs.protocols.TextEncoder` over a folder in transformers' layout and its tokenizer.

    placement: ``device``, the weights live on ``device``; ``streamed``, they live in main memory and every layer
    visits ``device`` when its turn comes; ``cpu``, nothing leaves main memory.
    """

    def __init__(
        self,
        folder: Path,
        tokenizer: Path,
        *,
        device: torch.device,
        placement: Placement = "device",
        store: Path | None = None,
        text_len: int = TEXT_LEN,
    ) -> None:
        self.folder = folder
        self._device = device if placement != "cpu" else torch.device("cpu")
        self._streamed = placement == "streamed"
        self._text_len = text_len
        self._tokenizer = _tokenizer(tokenizer, text_len)
        self._module: UMT5EncoderModel = empty_from_folder(folder, _make)
        self._ready = False
        self._store = None if store is None else EmbeddingStore(store, _identity(folder, tokenizer, text_len))

    @property
    def text_len(self) -> int:
        return self._text_len

    @property
    def text_dim(self) -> int:
        return int(self._module.config.d_model)

    def encode(self, captions: Sequence[str]) -> Tensor:
        """[N, text_len, D] float32 on the CPU; padding positions are zero."""
        return torch.stack([padded(self._embedding(plain(caption)), self.text_len) for caption in captions]).float()

    def unknown_words(self, text: str) -> list[str]:
        """None: it reads any word, in about a hundred languages."""
        return []

    def _embedding(self, text: str) -> Tensor:
        """The embedding [tokens, D] of a caption: remembered, or made and remembered."""
        known = self._store.get(text) if self._store is not None else None
        if known is None:
            known = self._read(text)
            if self._store is not None:
                self._store.put(text, known)
        return known

    @torch.no_grad()
    def _read(self, text: str) -> Tensor:
        if not self._ready:
            self._place()
        # Only the caption's own tokens: padding is hidden from them inside the encoder, so it would change nothing.
        ids = torch.tensor([self._tokenizer.encode(text).ids])
        words = self._module.get_input_embeddings()
        embedded = words(ids.to(words.weight.device)).to(self._device)
        return self._module(inputs_embeds=embedded).last_hidden_state[0].cpu()

    def _place(self) -> None:
        """Read the weights and bring them where they shall live."""
        fill_from_folder(self._module, self.folder, torch.device("cpu") if self._streamed else self._device)
        if self._streamed:
            from accelerate import cpu_offload

            stack: Any = self._module.encoder
            for layer in stack.block:
                cpu_offload(layer, execution_device=self._device)
            stack.final_layer_norm.to(self._device)
        self._ready = True


def plain(text: str) -> str:
    """``text`` as Wan's own code cleans it: broken Unicode mended, HTML entities resolved, white space folded."""
    import ftfy

    return " ".join(html.unescape(html.unescape(ftfy.fix_text(text))).split())


def _make(config: dict[str, Any]) -> UMT5EncoderModel:
    from transformers import UMT5Config, UMT5EncoderModel

    return UMT5EncoderModel(UMT5Config.from_dict(config))


def _tokenizer(folder: Path, length: int) -> Tokenizer:
    path = folder / "tokenizer.json"
    if not path.is_file():
        raise WeightsError(f"{path}: no such file; fetch or convert the weights first")
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as fault:  # tokenizers raises plain Exception
        raise WeightsError(f"{path}: not a tokenizer ({str(fault).splitlines()[0]}); fetch it again") from fault
    tokenizer.no_padding()
    tokenizer.enable_truncation(length)
    return tokenizer


def _identity(folder: Path, tokenizer: Path, length: int) -> str:
    """What tells this encoder's embeddings from another's: its files' contents, and where it cuts."""
    files = [folder / "config.json", tokenizer / "tokenizer.json", *weight_files(folder)]
    return f"{fingerprint_all(files)}-{length}"
