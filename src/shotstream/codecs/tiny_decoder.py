"""A light decoder for Wan's latents in the layout of TAEHV (github.com/madebyollin/taehv): ``taew2_1.pth`` fits.

2-D convolutions at three scales; what knows of time are blocks that see their own input of the frame before, and 1x1
convolutions that grow one frame into two. It reads normalised latents and is several times cheaper than the
autoencoder's own decoder, at some loss of detail.

Axes: B batch · F latent frames · T pixel frames · N = B F · C channels · H, W pixels · h, w latent cells
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import torch
import torch.nn.functional as functional
from torch import Tensor, nn

from shotstream.core.errors import WeightsError

_PREFIX = "decoder."
_GROWTH = (1, 2, 2)  # frames each scale makes of one: coarse, middle, fine
_TRIMMED = 3  # frames a shot's first latent frame yields too many: it stands for a single one
# Numbers held per pixel of one frame, counted while the published sizes ran: at most, and from frame to frame.
WORK_PER_PIXEL, CARRIED_PER_PIXEL = 840, 84
_LIMIT = 3.0  # latents are squeezed softly into (-3, 3)


class _Squeeze(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return _LIMIT * torch.tanh(x / _LIMIT)


class _WithPrevious(nn.Module):
    """Three convolutions over [this frame, the frame before], and a way past them."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Sequential(
            nn.Conv2d(2 * width, width, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1),
        )

    def forward(self, x: Tensor, before: Tensor) -> Tensor:
        return functional.relu(self.conv(torch.cat([x, before], dim=1)) + x)


class _Growing(nn.Module):
    """One frame -> ``times`` frames."""

    def __init__(self, width: int, times: int) -> None:
        super().__init__()
        self.times = times
        self.conv = nn.Conv2d(width, width * times, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x).unflatten(1, (self.times, -1)).flatten(0, 1)


class TinyNetwork(nn.Sequential):
    """The layers, in the order that gives their parameters the published names."""

    def __init__(self, latent_channels: int, widths: tuple[int, int, int, int]) -> None:
        layers: list[nn.Module] = [_Squeeze(), nn.Conv2d(latent_channels, widths[0], 3, padding=1), nn.ReLU()]
        for (width, finer), times in zip(pairwise(widths), _GROWTH, strict=True):
            layers += [_WithPrevious(width) for _ in range(3)]
            layers += [nn.Upsample(scale_factor=2), _Growing(width, times)]
            layers.append(nn.Conv2d(width, finer, 3, padding=1, bias=False))
        layers += [nn.ReLU(), nn.Conv2d(widths[-1], 3, 3, padding=1)]
        super().__init__(*layers)

    def decode(self, latents: Tensor, memory: list[Tensor] | None) -> tuple[Tensor, list[Tensor]]:
        """Latents [B, F, C, h, w] -> pixels [B, 4 F, 3, 8 h, 8 w] in about [0, 1], and the blocks' state."""
        batch = len(latents)
        x = latents.flatten(0, 1)
        after: list[Tensor] = []
        for layer in self:
            if isinstance(layer, _WithPrevious):
                frames = x.unflatten(0, (batch, -1))
                start = torch.zeros_like(frames[:, 0]) if memory is None else memory[len(after)]
                after.append(frames[:, -1].clone())  # a view would keep all frames
                x = layer(x, torch.cat([start[:, None], frames[:, :-1]], dim=1).flatten(0, 1))
            else:
                x = layer(x)
        return x.unflatten(0, (batch, -1)), after


class TinyDecoder:
    """Decodes one shot push by push (see :class:`shotstream.codecs.protocols.StreamDecoder`)."""

    def __init__(self, network: TinyNetwork) -> None:
        self._network = network
        self._memory: list[Tensor] | None = None

    @torch.no_grad()
    def push(self, latents: Tensor) -> Tensor:
        """[B, f, C, h, w] -> [B, t, 3, H, W] in [-1, 1]; the first push yields 1 + 4 (f - 1) frames, later ones 4 f."""
        first = self._memory is None
        weight = next(self._network.parameters())
        pixels = []
        for frame in latents.to(weight).split(1, dim=1):  # one at a time: a block at once needs three times the room
            shown, self._memory = self._network.decode(frame, self._memory)
            pixels.append(shown.float().clamp(0, 1) * 2 - 1)
        return torch.cat(pixels, dim=1)[:, _TRIMMED if first else 0 :]


def rebuilt(found: Mapping[str, Tensor], source: str) -> tuple[TinyNetwork, dict[str, Tensor]]:
    """The network that ``taew2_1.pth`` holds (its encoder is not needed), and the tensors under the network's names.

    Raises :class:`WeightsError` for another layout.
    """
    tensors = {name.removeprefix(_PREFIX): value for name, value in found.items() if name.startswith(_PREFIX)}
    network = TinyNetwork(*_sizes(tensors, source))
    return network, _latest(tensors, network)


def _sizes(tensors: Mapping[str, Tensor], source: str) -> tuple[int, tuple[int, int, int, int]]:
    """Latent channels and the width of every scale, from the convolutions between scales."""
    convolutions = [tensors[f"{place}.weight"] for place in (1, 8, 14, 20) if f"{place}.weight" in tensors]
    if len(convolutions) != 4 or any(one.dim() != 4 for one in convolutions):
        raise WeightsError(f"{source}: not a decoder in TAEHV's layout; give taew2_1.pth")
    first, *rest = (one.shape for one in convolutions)
    return first[1], (first[0], rest[0][0], rest[1][0], rest[2][0])


def _latest(tensors: Mapping[str, Tensor], network: TinyNetwork) -> dict[str, Tensor]:
    """Published files may hold growth into more frames than are asked for: of these the last are meant."""
    kept = dict(tensors)
    for place, layer in enumerate(network):
        name = f"{place}.conv.weight"
        if isinstance(layer, _Growing) and name in kept:
            kept[name] = kept[name][-len(layer.conv.weight) :]
    return kept
