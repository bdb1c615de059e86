"""The light video autoencoder of the embedded preset: 2-D convolutions, causal in time.

One latent frame stands for ``temporal`` (4) pixel frames, its group, as in Wan's VAE; the first stands for a single
frame, which is coded as a group that does not move. At a quarter of the resolution every frame has features of its
own, made by the same convolutions (moving outlines need four places at once); below that a group is one map. The
encoder looks at one group alone, so a condition frame cut out of a shot is coded exactly as a first frame is. The
decoder carries, at three depths, its features of what came before (the previous group, and at the finest depth the
previous frame: a causal temporal convolution of width two, factorised), so detail persists and nothing looks ahead.
It ends in a pixel shuffle.

Axes: B batch · T pixel frames · F latent frames · N = B F · C channels · H, W pixels · h, w latent cells
"""

from __future__ import annotations

from typing import Annotated, TypeVar

import torch
import torch.nn.functional as functional
from pydantic import Field, model_validator
from torch import Tensor, nn

from shotstream.codecs.protocols import Images, Latents, Video
from shotstream.core.config import Config
from shotstream.core.errors import InputError
from shotstream.core.geometry import Geometry

Module = TypeVar("Module", bound=nn.Module)
SHUFFLE = 4  # the decoder's finest features have one cell per 4x4 pixels


class VideoAutoencoderConfig(Config):
    """Widths at 1/4 (per frame), 1/8 and 1/16 (per group) of the resolution, and their residual layers."""

    latent_channels: int = Field(default=16, gt=0)
    alone_channels: int | None = Field(default=None, gt=0)  # the first so many were trained to do without the others
    temporal: int = Field(default=4, gt=0)
    encoder_widths: tuple[int, int, int] = (32, 96, 160)
    decoder_widths: tuple[int, int, int] = (40, 112, 160)
    encoder_depths: tuple[int, int, int] = (1, 1, 1)
    decoder_depths: tuple[int, int, int] = (1, 1, 2)
    head_width: int = Field(default=128, gt=0)

    @model_validator(mode="after")
    def _some_of_all(self) -> VideoAutoencoderConfig:
        if self.alone_channels is not None and self.alone_channels > self.latent_channels:
            raise ValueError(f"alone_channels: {self.alone_channels} of {self.latent_channels} channels")
        return self

    @property
    def spatial(self) -> int:
        """Pixels per side of a latent cell."""
        return SHUFFLE * 2 ** (len(self.encoder_widths) - 1)

    def misfit(self, geometry: Geometry) -> str | None:
        """What of ``geometry`` is another than these weights', in a few words; None where they agree."""
        for name in ("latent_channels", "temporal", "spatial"):
            asked, own = getattr(geometry, name), getattr(self, name)
            if asked != own:
                return f"geometry says {name} {asked}, the autoencoder's weights say {own}"
        return None


class Residual(nn.Module):
    """x + conv(silu(conv(silu(x)))); starts as the identity."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        nn.init.zeros_(self.second.weight)
        nn.init.zeros_(self.second.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        between = self.first(functional.silu(x))
        if torch.is_grad_enabled():
            return x + self.second(functional.silu(between))
        return self.second(functional.silu(between, inplace=True)).add_(x)  # large maps: pages cost more than sums


class Encoder(nn.Module):
    """Videos [B, T, 3, H, W], T = 1 + temporal (F - 1) -> unnormalised latents [N, C, h, w], N = B F."""

    def __init__(self, config: VideoAutoencoderConfig) -> None:
        super().__init__()
        self.temporal = config.temporal
        fine, middle, coarse = config.encoder_widths
        depths = config.encoder_depths
        self.per_frame = nn.Sequential(
            nn.PixelUnshuffle(SHUFFLE), nn.Conv2d(3 * SHUFFLE**2, fine, 1), *_residuals(fine, depths[0])
        )
        self.per_group = nn.Sequential(
            nn.PixelUnshuffle(2),
            nn.Conv2d(4 * config.temporal * fine, middle, 1),
            *_residuals(middle, depths[1]),
            nn.PixelUnshuffle(2),
            nn.Conv2d(4 * middle, coarse, 1),
            *_residuals(coarse, depths[2]),
        )
        self.out = nn.Conv2d(coarse, config.latent_channels, 1)

    def forward(self, video: Tensor) -> Tensor:
        frames = video.flatten(0, 1).contiguous(memory_format=torch.channels_last)
        features = self.per_frame(frames).unflatten(0, video.shape[:2])
        still = features[:, :1].expand(-1, self.temporal - 1, -1, -1, -1)  # the first group does not move
        groups = torch.cat([still, features], dim=1).unflatten(1, (-1, self.temporal)).flatten(0, 1).flatten(1, 2)
        return self.out(functional.silu(self.per_group(groups.contiguous(memory_format=torch.channels_last))))


def _residuals(width: int, depth: int) -> list[nn.Module]:
    return [Residual(width) for _ in range(depth)]


class Stage(nn.Module):
    """One depth of the decoder: adds what the previous map (a group's or a frame's) left here, then refines."""

    def __init__(self, width: int, depth: int) -> None:
        super().__init__()
        self.recall = nn.Conv2d(width, width, 1, bias=False)
        self.refine = nn.Sequential(*_residuals(width, depth))

    def forward(self, x: Tensor, maps: int, before: Tensor | None, unseen: int = 0) -> tuple[Tensor, Tensor]:
        """x [B maps, width, ., .], ``maps`` per video; ``before`` [B, width, ., .]: the last push's end. The first
        ``unseen`` maps of every video are carried on, but not refined and not returned."""
        by_video = x.unflatten(0, (-1, maps))
        start = torch.zeros_like(by_video[:, :1]) if before is None else before[:, None]
        previous = torch.cat([start, by_video[:, :-1]], dim=1)
        seen, remembered = (
            tensor[:, unseen:].flatten(0, 1).contiguous(memory_format=torch.channels_last)
            for tensor in (by_video, previous)
        )
        recalled = self.recall(remembered)
        joined = seen + recalled if torch.is_grad_enabled() else recalled.add_(seen)
        return self.refine(joined), by_video[:, -1]


class Decoder(nn.Module):
    """Normalised latents [B, F, C, h, w] (and carried state) -> pixels [B, T, 3, H, W] and the state to carry.

    Without a state it is a video's start, whose first group stands for one frame: T = 1 + temporal (F - 1).
    """

    def __init__(self, config: VideoAutoencoderConfig) -> None:
        super().__init__()
        self.temporal = config.temporal
        fine, middle, coarse = config.decoder_widths
        self.enter = nn.Conv2d(config.latent_channels, coarse, 3, padding=1)
        self.stages = nn.ModuleList(
            Stage(width, depth)
            for width, depth in zip((coarse, middle, fine), reversed(config.decoder_depths), strict=True)
        )
        self.grow = nn.ModuleList(
            nn.Sequential(nn.Conv2d(low, 4 * high, 1), nn.PixelShuffle(2))
            for low, high in ((coarse, middle), (middle, config.temporal * fine))
        )
        self.head = nn.Sequential(
            nn.Conv2d(fine, config.head_width, 1),
            nn.SiLU(),
            nn.Conv2d(config.head_width, 3 * SHUFFLE**2, 1),
            nn.PixelShuffle(SHUFFLE),
        )

    def forward(self, latents: Tensor, state: list[Tensor] | None = None) -> tuple[Tensor, list[Tensor]]:
        x = self.enter(latents.flatten(0, 1).contiguous(memory_format=torch.channels_last))
        maps, after, unseen = latents.shape[1], [], 0
        for depth, stage in enumerate(self.stages):
            if depth:
                x = self.grow[depth - 1](x)
            if depth == len(self.stages) - 1:  # from one map per group to one per frame
                maps *= self.temporal
                x = x.unflatten(1, (self.temporal, -1)).flatten(0, 1)
                unseen = self.temporal - 1 if state is None else 0
            x, last = stage(x, maps, None if state is None else state[depth], unseen)
            after.append(last)
        return self._head(x).unflatten(0, (len(latents), -1)), after

    def _head(self, x: Tensor) -> Tensor:
        widen, _, narrow, shuffle = self.head
        wide = widen(functional.silu(x))
        pixels: Tensor = shuffle(narrow(functional.silu(wide, inplace=not torch.is_grad_enabled())))
        return pixels


class VideoAutoencoder(nn.Module):
    """Encoder, per-channel normalisation (running statistics, frozen in use) and decoder."""

    def __init__(self, config: VideoAutoencoderConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        self.normalise = nn.BatchNorm2d(config.latent_channels, affine=False, momentum=0.02)
        self.decoder = Decoder(config)

    def encode_groups(self, video: Video) -> Latents:
        """[B, T, 3, H, W] in [-1, 1], T = 1 + temporal k -> normalised latents [B, 1 + k, C, h, w]."""
        return self.normalise(self.encoder(video)).unflatten(0, (len(video), -1))

    def decode_groups(self, latents: Tensor, state: list[Tensor] | None = None) -> tuple[Tensor, list[Tensor]]:
        """Latents [B, F, C, h, w] -> pixels [B, T, 3, H, W] and the state to carry; at a start T is 1 + 4 (F - 1)."""
        decoded: tuple[Tensor, list[Tensor]] = self.decoder(latents, state)
        return decoded


def alone(autoencoder: VideoAutoencoder) -> VideoAutoencoder:
    """The autoencoder of the first channels that were trained to stand alone. Raises :class:`InputError` for weights
    that have none."""
    config = autoencoder.config
    if config.alone_channels is None:
        raise InputError(f"this autoencoder's {config.latent_channels} channels were not trained to do with fewer")
    smaller = VideoAutoencoder(
        config.model_copy(update={"latent_channels": config.alone_channels, "alone_channels": None})
    )
    given = autoencoder.state_dict()
    smaller.load_state_dict(
        {
            name: given[name][tuple(slice(size) for size in room.shape)].clone()
            for name, room in smaller.state_dict().items()
        }
    )
    return smaller.to(autoencoder.decoder.enter.weight.dtype)


def fitted(autoencoder: VideoAutoencoder, geometry: Geometry) -> VideoAutoencoder:
    """``autoencoder``, or its first channels alone where ``geometry`` has so many and they can do without the rest."""
    own = autoencoder.config
    asks_for_alone = own.alone_channels == geometry.latent_channels < own.latent_channels
    return alone(autoencoder) if asks_for_alone else autoencoder


def in_channels_last(module: Module) -> Module:
    """``module`` with its convolutions in the memory layout that is fast, and that Muon can see as matrices."""
    return module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


class StreamingDecoder:
    """Decodes one shot push by push (see :class:`shotstream.codecs.protocols.StreamDecoder`)."""

    def __init__(self, codec: LightVideoCodec) -> None:
        self._codec = codec
        self._state: list[Tensor] | None = None

    def push(self, latents: Annotated[Tensor, "B f C h w"]) -> Annotated[Tensor, "B t 3 H W"]:
        """[B, f, C, h, w] -> [B, t, 3, H, W] in [-1, 1]; the first push yields 1 + 4 (f - 1) frames, later ones 4 f."""
        pixels, self._state = self._codec.run_decoder(latents, self._state)
        return pixels


class LightVideoCodec:
    """The autoencoder as a :class:`~shotstream.codecs.protocols.VideoCodec`: inference, on its weights' device."""

    def __init__(self, autoencoder: VideoAutoencoder, geometry: Geometry) -> None:
        misfit = autoencoder.config.misfit(geometry)
        if misfit:
            raise InputError(misfit)
        self.autoencoder = in_channels_last(autoencoder.eval().requires_grad_(False))
        self.geometry = geometry

    @property
    def _kind(self) -> Tensor:
        return self.autoencoder.decoder.enter.weight

    @torch.no_grad()
    def encode(self, video: Video) -> Latents:
        """[B, T, 3, H, W] in [-1, 1], T = 1 + 4 k -> [B, 1 + k, C, h, w] float32."""
        self.geometry.latent_frames(video.shape[1])
        return self.autoencoder.encode_groups(video.to(self._kind)).float()

    def encode_images(self, images: Images) -> Annotated[Tensor, "N C h w"]:
        """[N, 3, H, W] -> [N, C, h, w], each as a video of one frame."""
        return self.encode(images[:, None])[:, 0]

    def decode(self, latents: Latents) -> Video:
        """[B, F, C, h, w] -> [B, 1 + 4 (F - 1), 3, H, W] float32 in [-1, 1]."""
        return self.run_decoder(latents, None)[0]

    def decoder(self) -> StreamingDecoder:
        """A fresh decoder for one shot."""
        return StreamingDecoder(self)

    @torch.no_grad()
    def run_decoder(self, latents: Tensor, state: list[Tensor] | None) -> tuple[Tensor, list[Tensor]]:
        """One push: pixels and the state to carry to the next."""
        pixels, after = self.autoencoder.decode_groups(latents.to(self._kind), state)
        return pixels.float().clamp_(-1, 1), after
