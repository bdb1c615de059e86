"""The small text encoder of the embedded preset: a subword tokenizer and a few transformer layers; tokenizers' files.

The encoder is trained to read the world's attributes off captions (``training/stages/text_encoder``) and then frozen.
Words it was not trained on are left out of the encoding and can be asked for by name. Tokenizers may come from
strangers: each is tried first in a child process with limited memory, because some crash the library or exhaust memory.

Axes: N captions · L tokens · D numbers per token
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated

import torch
from pydantic import Field
from tokenizers import Tokenizer
from torch import Tensor, nn

from shotstream.core.config import Config
from shotstream.core.errors import WeightsError
from shotstream.core.words import WORD, plain, words_of, words_within

MAX_CHARACTERS = 64 << 20  # UMT5's has 17 million
# Bytes of address space. A vocabulary takes about a kilobyte for every character that it does not share.
MAX_MEMORY = 4 << 30
MAX_SECONDS = 120.0
# As long as the longest prompt, in several scripts: a normaliser can also turn it into text that fills the memory.
_PROBE = "A red fox walks through the forest. 狐狸穿过森林。 🦊 " * 400
_TRIAL = """
import sys
try:
    import resource
    resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv[1]),) * 2)
except (ImportError, ValueError, OSError):  # Windows has no limits, macOS may refuse this one, or a lower one is set
    pass
from tokenizers import Tokenizer
text = sys.stdin.buffer.read().decode()
try:
    tokenizer = Tokenizer.from_str(text)
    tokenizer.no_padding()
    tokenizer.no_truncation()
    tokenizer.encode(sys.argv[2])
except BaseException as fault:
    sys.exit((str(fault).splitlines() or [type(fault).__name__])[0][:160])
"""
_tried: set[str] = set()  # digests of texts that were found to be good


def read_tokenizer(path: Path) -> Tokenizer:
    """The tokenizer in the file ``path``. Raises :class:`WeightsError`."""
    try:
        if path.stat().st_size > MAX_CHARACTERS:
            raise WeightsError(f"{path}: larger than any tokenizer; fetch it again")
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as fault:
        raise WeightsError(f"{path}: no such file; fetch or convert the weights first") from fault
    except (OSError, UnicodeDecodeError) as fault:
        raise WeightsError(f"{path}: not a tokenizer (cannot be read as text); fetch it again") from fault
    return make_tokenizer(text, str(path))


def make_tokenizer(text: str, name: str, *, trusted: bool = False) -> Tokenizer:
    """The tokenizer that JSON ``text`` describes, without padding and truncation; ``name`` is what errors call it.

    trusted: the text comes with the package, and is not tried first. Raises :class:`WeightsError`.
    """
    if len(text) > MAX_CHARACTERS:
        raise WeightsError(f"{name}: larger than any tokenizer; fetch it again")
    if not trusted:
        _try(text, name)
    try:
        tokenizer = Tokenizer.from_str(text)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as fault:  # plain Exception, or a panic of Rust, which is none
        said = (str(fault).splitlines() or [type(fault).__name__])[0][:160]
        raise WeightsError(f"{name}: not a tokenizer ({said}); fetch it again") from fault
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def _try(text: str, name: str) -> None:
    """Read ``text``, and a long prompt with it, where it can do no harm. Raises :class:`WeightsError`."""
    data = text.encode()
    digest = hashlib.sha256(data).hexdigest()
    if digest in _tried:
        return
    quiet = {"RUST_BACKTRACE": "0", "TOKENIZERS_PARALLELISM": "false", "RAYON_NUM_THREADS": "1"}
    command = [sys.executable, "-I", "-c", _TRIAL, str(MAX_MEMORY), _PROBE]
    try:
        tried = subprocess.run(
            command, input=data, capture_output=True, timeout=MAX_SECONDS, env=os.environ | quiet, check=False
        )
    except subprocess.TimeoutExpired as fault:
        raise WeightsError(f"{name}: not a tokenizer (reading it takes minutes); fetch it again") from fault
    if tried.returncode == 1:  # it was refused in the ordinary way, or memory ran out in Python
        said = (tried.stderr.decode(errors="replace").strip().splitlines() or ["it cannot be read"])[-1][:160]
        raise WeightsError(f"{name}: not a tokenizer ({said}); fetch it again")
    if tried.returncode:
        size = f"{MAX_MEMORY / (1 << 30):.2g} GiB"
        raise WeightsError(
            f"{name}: not a tokenizer (it would end the program that reads it, or fill {size} of memory); "
            "fetch it again"
        )
    _tried.add(digest)


_PIECES = re.compile(rf"{WORD.pattern}|[.,;:!?]")
PADDING = 0  # token id


class TextEncoderConfig(Config):
    """Sizes of the encoder. Captions longer than ``text_len`` tokens lose their middle."""

    vocabulary: int = Field(gt=0)
    text_len: int = Field(default=64, gt=1)
    text_dim: int = Field(default=192, gt=0)
    layers: int = Field(default=3, gt=0)
    heads: int = Field(default=6, gt=0)
    ffn_dim: int = Field(default=576, gt=0)


class TextLayer(nn.Module):
    """Self-attention over the caption's own tokens, then a feed-forward layer, both pre-normed. Plain products:
    at a few dozen tokens they beat the fused CPU kernels several times over."""

    def __init__(self, config: TextEncoderConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.norm1, self.norm2 = nn.LayerNorm(config.text_dim), nn.LayerNorm(config.text_dim)
        self.qkv = nn.Linear(config.text_dim, 3 * config.text_dim)
        self.o = nn.Linear(config.text_dim, config.text_dim)
        self.ffn = nn.Sequential(
            nn.Linear(config.text_dim, config.ffn_dim),
            nn.GELU(approximate="tanh"),
            nn.Linear(config.ffn_dim, config.text_dim),
        )

    def forward(self, x: Tensor, hidden: Tensor) -> Tensor:
        """x [N, L, D]; ``hidden`` [N, 1, 1, L]: minus infinity where a token may not be seen."""
        q, k, v = self.qkv(self.norm1(x)).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        weights = (q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5 + hidden).softmax(-1)
        x = x + self.o((weights.to(v.dtype) @ v).transpose(1, 2).flatten(2))
        return x + self.ffn(self.norm2(x))


class TextTransformer(nn.Module):
    """Token ids [N, L] -> embeddings [N, L, D], unit-variance rows, zero where the id is padding."""

    def __init__(self, config: TextEncoderConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocabulary, config.text_dim, padding_idx=PADDING)
        self.position_embedding = nn.Parameter(0.02 * torch.randn(config.text_len, config.text_dim))
        self.layers = nn.ModuleList(TextLayer(config) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.text_dim, elementwise_affine=False)

    def forward(self, ids: Tensor) -> Tensor:
        blank = ids == PADDING
        # A caption without one known word has nothing to attend to: let it see its padding, its output is zero anyway.
        unseen = blank & ~blank.all(dim=1, keepdim=True)
        hidden = torch.zeros(ids.shape, device=ids.device).masked_fill(unseen, -torch.inf)[:, None, None]
        x = self.embedding(ids) + self.position_embedding[: ids.shape[1]]
        for layer in self.layers:
            x = layer(x, hidden)
        return self.norm(x).masked_fill(blank[..., None], 0.0)


class WorldTextEncoder:
    """Tokenizer, transformer and word list as a :class:`shotstream.codecs.protocols.TextEncoder`."""

    def __init__(self, transformer: TextTransformer, tokenizer: Tokenizer, words: Iterable[str]) -> None:
        self.transformer = transformer.eval().requires_grad_(False)
        self.tokenizer = tokenizer
        self.words = frozenset(words)

    @property
    def text_len(self) -> int:
        return self.transformer.config.text_len

    @property
    def text_dim(self) -> int:
        return self.transformer.config.text_dim

    @torch.no_grad()
    def encode(self, captions: Sequence[str]) -> Annotated[Tensor, "N L D"]:
        """[N, text_len, text_dim] float32; padding positions are zero."""
        ids = token_ids([known_text(caption, self.words) for caption in captions], self.tokenizer, self.text_len)
        return self.transformer(ids.to(self.transformer.embedding.weight.device)).float()

    def unknown_words(self, text: str) -> list[str]:
        """The words of ``text`` that training never saw, lower case, in order, each once."""
        return list(dict.fromkeys(word for word in words_of(text) if word not in self.words))

    def lost_words(self, text: str) -> list[str]:
        """The words in the middle of ``text`` that are cut out of it, in order; unknown ones are not among them."""
        known = known_text(text, self.words)
        offsets = self.tokenizer.encode(known).offsets
        beginning, end = kept_tokens(len(offsets), self.text_len)
        cut = offsets[beginning : len(offsets) - end]
        return words_within(known, cut[0][0], cut[-1][1]) if cut else []


def known_text(text: str, words: frozenset[str]) -> str:
    """``text`` in lower case without the words that are not in ``words``; punctuation stays."""
    pieces = [plain(piece) for piece in _PIECES.findall(text.lower())]
    return " ".join(piece for piece in pieces if piece in words or not WORD.fullmatch(piece))


def kept_tokens(tokens: int, length: int) -> tuple[int, int]:
    """How many of a caption's ``tokens`` are kept at its beginning and at its end where ``length`` have room."""
    return (tokens, 0) if tokens <= length else (length // 2, length - length // 2)


def token_ids(captions: Sequence[str], tokenizer: Tokenizer, length: int) -> Tensor:
    """[N, length] token ids, padded at the end; a caption that is too long keeps its start and its end."""
    ids = torch.full((len(captions), length), PADDING, dtype=torch.long)
    for row, encoding in enumerate(tokenizer.encode_batch(list(captions))):
        tokens = encoding.ids
        beginning, end = kept_tokens(len(tokens), length)
        tokens = tokens[:beginning] + tokens[len(tokens) - end :]
        ids[row, : len(tokens)] = torch.tensor(tokens, dtype=torch.long)
    return ids
