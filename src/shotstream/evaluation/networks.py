"""The paper's own feature networks for real video, from a local folder or the hub; the ``eval`` extra brings them.

What is not given or cannot be loaded is named in the output with the reason, never replaced by another.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from shotstream.core.errors import InputError
from shotstream.evaluation.consistency import Vectors
from shotstream.evaluation.recognisers import MOMENTS, Recognisers

# What each would measure, and how to get it.
ABSENT = {
    "dinov2": "subject consistency; give --dinov2 FOLDER or a hub id such as facebook/dinov2-base",
    "clip": "background consistency and text alignment; give --clip FOLDER or a hub id",
    "xclip": "semantic consistency between shots; give --xclip FOLDER or a hub id such as microsoft/xclip-base-patch32",
    "viclip": "the paper's network for semantic consistency; it comes as code to be run from the hub, which is never "
    "done here; --xclip is the nearest that is in a library",
}


class Dinov2:
    """DINOv2 (Oquab et al. 2023): the class token of whole frames. The paper crops subjects first; this does not."""

    def __init__(self, source: str) -> None:
        from transformers import AutoImageProcessor, Dinov2Model

        self.name = f"dinov2 ({source}, whole frames)"
        self._prepare: Any = _loaded(AutoImageProcessor, source)
        self._network: Any = _loaded(Dinov2Model, source).eval()

    @torch.no_grad()
    def describe(self, frames: NDArray[np.uint8], fps: float) -> Vectors:
        """See :class:`shotstream.evaluation.consistency.FeatureNetwork`."""
        pixels = self._prepare(images=list(_spread(frames)), return_tensors="pt")
        return np.asarray(self._network(**pixels).last_hidden_state[:, 0].double())


class Clip:
    """CLIP (Radford et al. 2021): image embeddings, and their likeness to words."""

    def __init__(self, source: str) -> None:
        from transformers import AutoImageProcessor, AutoTokenizer, CLIPModel

        self.name = f"clip ({source}, whole frames)"
        self._prepare: Any = _loaded(AutoImageProcessor, source)
        self._words: Any = _loaded(AutoTokenizer, source)
        self._network: Any = _loaded(CLIPModel, source).eval()

    @torch.no_grad()
    def describe(self, frames: NDArray[np.uint8], fps: float) -> Vectors:
        """See :class:`shotstream.evaluation.consistency.FeatureNetwork`."""
        pixels = self._prepare(images=list(_spread(frames)), return_tensors="pt")
        seen = self._network.vision_model(**pixels).pooler_output
        return np.asarray(self._network.visual_projection(seen).double())

    @torch.no_grad()
    def alignment(self, frames: NDArray[np.uint8], fps: float, caption: str) -> float:
        """Mean cosine between the frames of a shot and its caption."""
        ids = self._words([caption], return_tensors="pt", truncation=True)
        read = self._network.text_projection(self._network.text_model(**ids).pooler_output)[0].double().numpy()
        seen = self.describe(frames, fps)
        return float((seen @ read / (np.linalg.norm(seen, axis=1) * np.linalg.norm(read))).mean())


class Xclip:
    """X-CLIP (Ni et al. 2022): one vector for a whole shot, by a network that looks across its frames."""

    def __init__(self, source: str) -> None:
        from transformers import AutoImageProcessor, XCLIPModel

        self.name = f"xclip ({source})"
        self._prepare: Any = _loaded(AutoImageProcessor, source)
        self._network: Any = _loaded(XCLIPModel, source).eval()

    @torch.no_grad()
    def describe(self, frames: NDArray[np.uint8], fps: float) -> Vectors:
        """See :class:`shotstream.evaluation.consistency.FeatureNetwork`; M is 1."""
        wanted = self._network.config.vision_config.num_frames
        shown = frames[np.linspace(0, len(frames) - 1, wanted).round().astype(int)]
        pixels = self._prepare(images=list(shown), return_tensors="pt")["pixel_values"]
        one_video = pixels.reshape(1, wanted, *pixels.shape[-3:])
        return np.asarray(self._network.get_video_features(pixel_values=one_video).pooler_output.double())


class RecogniserSubjects:
    """The recognisers' identity embedding of the leftmost person; of worth on films of the procedural world."""

    def __init__(self, recognisers: Recognisers) -> None:
        self.name = f"{recognisers.name} (identity)"
        self._recognisers = recognisers

    def describe(self, frames: NDArray[np.uint8], fps: float) -> Vectors:
        """See :class:`shotstream.evaluation.consistency.FeatureNetwork`."""
        return np.asarray(self._recognisers.read(frames, fps).identity[:, 0])


class RecogniserPlaces:
    """The recognisers' place embedding; of worth on films of the procedural world."""

    def __init__(self, recognisers: Recognisers) -> None:
        self.name = f"{recognisers.name} (place)"
        self._recognisers = recognisers

    def describe(self, frames: NDArray[np.uint8], fps: float) -> Vectors:
        """See :class:`shotstream.evaluation.consistency.FeatureNetwork`."""
        return self._recognisers.read(frames, fps).place


def _spread(frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A few frames of a shot, evenly spread."""
    wanted = [round((index + 0.5) * len(frames) / MOMENTS - 0.5) for index in range(MOMENTS)]
    return frames[sorted({min(max(frame, 0), len(frames) - 1) for frame in wanted})]


def _loaded(kind: Any, source: str) -> Any:
    """``source`` as a transformers object; a path that exists is never looked up on the hub."""
    try:
        return kind.from_pretrained(source, local_files_only=Path(source).exists())
    except (OSError, ValueError) as fault:
        said = " ".join(str(fault).split())[:160]
        raise InputError(f"{source}: no {kind.__name__} can be loaded from it ({said}); check the folder") from fault
