"""UMT5, the text encoder of Wan, through transformers: 512 tokens, padding zeroed (and attended to by the model).

The encoder of the published model holds 5.7 billion numbers. Its weights are read only when a prompt comes whose
embedding is not cached, and stay memory-mapped on a CPU.

Axes: N captions · L tokens · D numbers per token
"""

from __future__ import annotations

import hashlib
import html
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from torch import Tensor

from shotstream.codecs.protocols import Placement
from shotstream.core.files import make_folder, whole_file
from shotstream.core.words import words_within

if TYPE_CHECKING:
    from transformers import UMT5EncoderModel

TEXT_LEN = 512  # tokens Wan was trained with


class Umt5TextEncoder:
    """A :class:`shotstream.codecs.protocols.TextEncoder` over transformers' module, on the meta device until it is
    ``read``, and its tokenizer.

    placement: ``device``, the weights live on ``device``; ``streamed``, they live in main memory and every layer
    visits ``device`` when its turn comes; ``cpu``, nothing leaves main memory. store: a folder of embeddings that are
    cached, under what ``identity`` says of the weights.
    """

    def __init__(
        self,
        module: UMT5EncoderModel,
        tokenizer: Tokenizer,
        *,
        read: Callable[[UMT5EncoderModel, torch.device], None],
        device: torch.device,
        placement: Placement = "device",
        store: Path | None = None,
        identity: Callable[[], str] = str,
        text_len: int = TEXT_LEN,
    ) -> None:
        self._device = device if placement != "cpu" else torch.device("cpu")
        self._streamed = placement == "streamed"
        self._text_len = text_len
        self._tokenizer = tokenizer
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(text_len)
        self._module: UMT5EncoderModel = module
        self._read_weights = read
        self._ready = False
        self._store = None if store is None else EmbeddingStore(store, f"{identity()}-{text_len}")

    @property
    def text_len(self) -> int:
        return self._text_len

    @property
    def text_dim(self) -> int:
        return int(self._module.config.d_model)

    @property
    def words(self) -> frozenset[str]:
        """None to list: it reads any."""
        return frozenset()

    def encode(self, captions: Sequence[str]) -> Annotated[Tensor, "N L D"]:
        """[N, text_len, D] float32 on the CPU; padding positions are zero."""
        return torch.stack([padded(self._embedding(plain(caption)), self.text_len) for caption in captions]).float()

    def unknown_words(self, text: str) -> list[str]:
        """None: it reads any word, in about a hundred languages."""
        return []

    def lost_words(self, text: str) -> list[str]:
        """The words of ``text`` beyond its first ``text_len`` tokens, in order."""
        read = plain(text)
        encoding = self._tokenizer.encode(read)
        if not encoding.overflowing:
            return []
        end = max(stop for _, stop in encoding.offsets)
        return words_within(read, end, len(read))

    def _embedding(self, text: str) -> Tensor:
        """The embedding [tokens, D] of a caption: from the cache, or made and cached."""
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
        self._read_weights(self._module, torch.device("cpu") if self._streamed else self._device)
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


def build(config: dict[str, Any]) -> UMT5EncoderModel:
    """The module that a folder's config describes, without its numbers."""
    from transformers import UMT5Config, UMT5EncoderModel

    return UMT5EncoderModel(UMT5Config.from_dict(config))


_NAME = "embedding"


class EmbeddingStore:
    """A folder of one file per prompt; the least recently read go when there are more than ``limit``.

    encoder: what tells one encoder's embeddings from another's. Prompts themselves are not stored, only their digest.
    """

    def __init__(self, folder: Path, encoder: str, limit: int = 2000) -> None:
        self.folder = folder / encoder
        self.limit = limit

    def get(self, text: str) -> Tensor | None:
        """The embedding [tokens, width] of ``text``, or None if it is not there, or its file is damaged."""
        path = self._path(text)
        try:
            found = load_file(path)[_NAME]
            os.utime(path)
        except (SafetensorError, OSError, KeyError):  # as good as not there: it is made again
            return None
        return found

    def put(self, text: str, embedding: Tensor) -> None:
        """Keep ``embedding`` [tokens, width]. Raises :class:`StorageError`."""
        make_folder(self.folder)
        with whole_file(self._path(text)) as temporary:
            save_file({_NAME: embedding.detach().cpu().contiguous()}, temporary)
        self._forget_oldest()

    def _path(self, text: str) -> Path:
        return self.folder / f"{hashlib.sha256(text.encode()).hexdigest()[:32]}.safetensors"

    def _forget_oldest(self) -> None:
        kept = sorted(self.folder.glob("*.safetensors"), key=_last_read)
        for path in kept[: max(0, len(kept) - self.limit)]:
            path.unlink(missing_ok=True)


def _last_read(path: Path) -> float:
    """When ``path`` was last read; long ago if another process has just removed it."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def padded(embedding: Tensor, length: int) -> Tensor:
    """[tokens, width] -> [length, width], zeros behind the tokens."""
    rows = torch.zeros(length, embedding.shape[1], dtype=embedding.dtype)
    rows[: len(embedding)] = embedding
    return rows
