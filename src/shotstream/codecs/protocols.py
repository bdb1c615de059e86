"""The protocols of codecs: pixels to latents and back, words to embeddings.

Axes: N images · B batch · T pixel frames · F latent frames · C latent channels · H, W pixels · h, w latent cells ·
L tokens · D numbers per token
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal, Protocol, runtime_checkable

from torch import Tensor

from shotstream.core.geometry import Geometry

Video = Annotated[Tensor, "B T 3 H W"]
Images = Annotated[Tensor, "N 3 H W"]
Latents = Annotated[Tensor, "B F C h w"]
Placement = Literal["device", "streamed", "cpu"]  # where a large text encoder's weights live


@runtime_checkable
class TextEncoder(Protocol):
    """Captions to embeddings of a fixed length."""

    @property
    def text_len(self) -> int:
        """Tokens per caption."""

    @property
    def text_dim(self) -> int:
        """Numbers per token."""

    def encode(self, captions: Sequence[str]) -> Annotated[Tensor, "N L D"]:
        """L = text_len, D = text_dim; padding positions are zero (and attended to, as in Wan)."""

    def unknown_words(self, text: str) -> list[str]:
        """The words of ``text`` this encoder was not trained on, in order, each once."""

    def lost_words(self, text: str) -> list[str]:
        """The words of ``text`` that are not read because ``text_len`` tokens do not hold them, in order."""


@runtime_checkable
class StreamDecoder(Protocol):
    """Decodes one shot piece by piece; its state is carried from push to push, so chunked equals whole."""

    def push(self, latents: Annotated[Tensor, "B f C h w"]) -> Annotated[Tensor, "B t 3 H W"]:
        """[B, f, C, h, w] -> pixels [B, t, 3, H, W] in [-1, 1]; t = 1 + 4 (f - 1) for the first push, then 4 f."""


@runtime_checkable
class VideoCodec(Protocol):
    """Pixels in [-1, 1] to normalised latents (about unit variance) and back."""

    @property
    def geometry(self) -> Geometry: ...

    def encode(self, video: Video) -> Latents:
        """[B, T, 3, H, W], T = 1 + 4 k -> [B, 1 + k, C, h, w]."""

    def encode_images(self, images: Images) -> Annotated[Tensor, "N C h w"]:
        """[N, 3, H, W] -> [N, C, h, w], each as a video of one frame."""

    def decode(self, latents: Latents) -> Video:
        """[B, F, C, h, w] -> [B, 1 + 4 (F - 1), 3, H, W]."""

    def decoder(self) -> StreamDecoder:
        """A fresh decoder for one shot."""
