"""A pipeline in the style of diffusers: load from a folder, call with prompts, take frames as PIL, NumPy or torch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from pathlib import Path
from typing import Any, Literal, NoReturn, Self, TypedDict, Unpack, get_args

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from shotstream.api import Loading, load
from shotstream.core.devices import pick_device
from shotstream.core.errors import InputError
from shotstream.core.story import MAX_SEED, make_shot
from shotstream.film.director import Director
from shotstream.film.film import Film
from shotstream.film.takes.take import Take
from shotstream.sampling.block import Block

OutputType = Literal["pil", "np", "pt"]
# What calls of diffusers' pipelines ask for that is said otherwise here.
_THEIRS = {
    "num_inference_steps": "say steps= where the pipeline is loaded",
    "guidance_scale": "the student needs no guidance, a teacher's is in its preset",
    "negative_prompt": "the student needs none, a teacher's is in its preset",
    "height": "say size= where the pipeline is loaded",
    "width": "say size= where the pipeline is loaded",
    "callback_on_step_end": "say callback_on_block_end",
    "return_dict": "what is returned has frames and film",
    "num_videos_per_prompt": "call again for another film",
}
_ELSEWHERE = {
    "enable_model_cpu_offload": "the memory plan places what is large; memory= where it is loaded sets the limit",
    "enable_sequential_cpu_offload": "the memory plan places what is large; memory= where it is loaded sets the limit",
    "load_lora_weights": "merge it with `shotstream models convert LORA DST --base WEIGHTS`, and load DST",
    "set_progress_bar_config": "there is no bar; callback_on_block_end says how far it is",
}
OnBlock = Callable[["ShotStreamPipeline", int, int, dict[str, Any]], "dict[str, Any] | None"]


class Asked(TypedDict, total=False):
    """What a call may ask for beside its prompt.

    global_caption: who, where and look; holds for every shot. film: one to go on with, such as an earlier output's; it
    has a global caption and a seed already. seconds, or num_frames: of every shot, rounded to whole blocks; seconds may
    be a list. generator, or seed: what the film's noise is drawn from; a generator moves on, as in diffusers, so the
    next call is another film.
    """

    global_caption: str
    film: Film | None
    seconds: float | Sequence[float] | None
    num_frames: int | None
    generator: torch.Generator | None
    seed: int | None


@dataclass(frozen=True, slots=True)
class ShotStreamPipelineOutput:
    """``frames``: one film, in the layout of diffusers' video pipelines, so that ``frames[0]`` is the film: a list of
    PIL images, float32 [T, height, width, 3], or float32 [T, 3, height, width], 0 to 1. ``film``: to edit, export and
    go on with."""

    frames: list[list[Image.Image]] | np.ndarray | Tensor
    film: Film

    def __getitem__(self, key: int | slice | str) -> Any:
        """By name or by place, as outputs of diffusers: ``output[0]`` is ``output.frames``."""
        return (
            {"frames": self.frames, "film": self.film}[key] if isinstance(key, str) else (self.frames, self.film)[key]
        )


class ShotStreamPipeline:
    """Made by :meth:`from_pretrained`.

    ::

        pipe = ShotStreamPipeline.from_pretrained("storyworld")
        shots = ["Wide shot. The fox walks.", "A close-up of the fox."]
        output = pipe(shots, global_caption="A red fox in the snow.")
        output.frames[0][0].save("first.png")
    """

    def __init__(self, director: Director, model: str | Path, loading: Loading) -> None:
        self.director = director
        self._model, self._loading = model, loading
        self._interrupt = False

    @classmethod
    def from_pretrained(
        cls, model: str | Path, *, torch_dtype: str | torch.dtype | None = None, **loading: Unpack[Loading]
    ) -> Self:
        """The pipeline of a folder, a preset's name, a weight file or a pulled hub id.

        torch_dtype: diffusers' name for ``dtype``. loading, and what is raised: as for :func:`shotstream.load`.
        """
        if torch_dtype is not None:
            if "dtype" in loading:
                raise InputError("torch_dtype and dtype are the same setting; give one of them")
            loading["dtype"] = torch_dtype
        return cls(load(model, **loading), model, loading)

    def __repr__(self) -> str:
        return f"<pipeline of {repr(self.director).strip('<>')}>"

    def __getattr__(self, name: str) -> NoReturn:
        """What pipelines of diffusers have and this one does in another way."""
        mend = _ELSEWHERE.get(name)
        raise AttributeError(f"{type(self).__name__} has no {name}{f': {mend}' if mend else ''}")

    @property
    def device(self) -> torch.device:
        return self.director.device

    @property
    def dtype(self) -> torch.dtype:
        return self.director.dtype

    @property
    def fps(self) -> int:
        """Frames per second of everything the pipeline makes."""
        return self.director.geometry.fps

    def to(
        self,
        *places: str | torch.device | torch.dtype,
        device: str | torch.device | None = None,
        dtype: torch.dtype | None = None,
    ) -> Self:
        """The same on another device, or in another number format: weights are loaded again where that is a change.

        Raises :class:`InputError` for a device that is not here.
        """
        places += tuple(place for place in (device, dtype) if place is not None)
        wanted: Loading = {}
        device, dtype = self.device, self.dtype
        for place in places:
            if isinstance(place, torch.dtype):
                wanted["dtype"] = dtype = place
            else:
                wanted["device"] = device = pick_device(place)
        if dtype != self.dtype or device.type != self.device.type or device.index not in (None, self.device.index):
            loading: Loading = {**self._loading, **wanted}
            self.director, self._loading = load(self._model, **loading), loading
        return self

    def interrupt(self) -> None:
        """End the running call with the blocks it has; for callbacks and other threads."""
        self._interrupt = True

    def stream(self, prompt: str | Sequence[str], **asked: Unpack[Asked]) -> Iterator[tuple[Take, Block]]:
        """The blocks of a film, each with its take, as soon as it is decoded; asked: see :class:`Asked`."""
        return self._blocks(*self._queue(prompt, asked))

    def __call__(
        self,
        prompt: str | Sequence[str],
        *,
        output_type: OutputType = "pil",
        callback_on_block_end: OnBlock | None = None,
        **asked: Unpack[Asked],
    ) -> ShotStreamPipelineOutput:
        """Make a film of one shot, or of one for each caption in a list.

        callback_on_block_end: called with the pipeline, the number of the shot, that of the block in it, and a dict of
        ``frames`` (uint8 [t, height, width, 3]) and ``prompt``. If it returns a dict with another ``prompt``, the shot
        goes on under that one; :meth:`interrupt` ends everything there. asked: see :class:`Asked`.

        Raises :class:`InputError` for what is wrong with the arguments.
        """
        if output_type not in get_args(OutputType):
            raise InputError(f"output_type {output_type!r}: give pil, np or pt")
        film, takes = self._queue(prompt, asked)
        blocks = []
        for take, block in self._blocks(film, takes):
            blocks.append(block.frames)
            if callback_on_block_end is not None:
                self._call_back(callback_on_block_end, film, take, block)
        return ShotStreamPipelineOutput(_as_asked(np.concatenate(blocks), output_type), film)

    def _queue(self, prompt: str | Sequence[str], asked: Asked) -> tuple[Film, list[Take]]:
        _refuse_unknown(asked)
        captions = [prompt] if isinstance(prompt, str) else prompt
        if not isinstance(captions, list | tuple) or not captions:
            raise InputError(f"prompt is {prompt!r:.40}; give the caption of one shot, or a list with one for each")
        lengths = self._lengths(len(captions), asked.get("seconds"), asked.get("num_frames"))
        checked = [
            make_shot(f"prompt {number}", *shot) for number, shot in enumerate(zip(captions, lengths, strict=True))
        ]
        film = self._open(asked)
        self._interrupt = False
        return film, [film.add(shot) for shot in checked]

    def _blocks(self, film: Film, takes: Sequence[Take]) -> Iterator[tuple[Take, Block]]:
        for number, take in enumerate(takes):
            for block in take:
                yield take, block
                if self._interrupt:
                    take.stop()
                    for left in takes[number + 1 :]:
                        film.remove(left)
                    return

    def _call_back(self, callback: OnBlock, film: Film, take: Take, block: Block) -> None:
        caption = film.record.shots[take.shot].caption_at(take.record, block.index)
        answer = callback(self, take.shot, block.index, {"frames": block.frames, "prompt": caption}) or {}
        wanted = answer.get("prompt", caption)
        if wanted != caption:
            take.change(wanted)

    def _open(self, asked: Asked) -> Film:
        film, told = asked.get("film"), asked.get("global_caption", "")
        seed = _seed(asked.get("generator"), asked.get("seed"))
        if film is not None and not isinstance(film, Film):
            raise InputError(f"film {film!r:.40}: give a Film, such as an earlier output's, or director.reopen(PATH)")
        if film is None:
            if not isinstance(told, str) or not told.strip():
                raise InputError("global_caption is missing: say in words who is in the film, where, and how it looks")
            return self.director.open(global_caption=told, seed=0 if seed is None else seed)
        if told or seed is not None:
            raise InputError("film has a global caption and a seed already; leave out global_caption, seed, generator")
        return film

    def _lengths(
        self, shots: int, seconds: float | Sequence[float] | None, num_frames: int | None
    ) -> list[float | None]:
        if num_frames is not None:
            if seconds is not None:
                raise InputError("seconds and num_frames both say how long a shot is; give one of them")
            if not isinstance(num_frames, Integral) or isinstance(num_frames, bool):
                raise InputError(f"num_frames {num_frames!r:.40}: give a whole number of frames, of every shot")
            return [int(num_frames) / self.fps] * shots
        if seconds is None or (isinstance(seconds, Real) and not isinstance(seconds, bool)):
            return [None if seconds is None else float(seconds)] * shots
        if not isinstance(seconds, list | tuple):
            raise InputError(f"seconds {seconds!r:.40}: give a number, or a list with one for each shot")
        if len(seconds) != shots:
            raise InputError(f"seconds lists {len(seconds)} lengths for {shots} shots; give one each, or one for all")
        return list(seconds)


def _refuse_unknown(asked: Mapping[str, object]) -> None:
    for name in asked:
        if name not in Asked.__annotations__:
            mend = _THEIRS.get(name, f"there are {', '.join(Asked.__annotations__)}")
            raise InputError(f"{name}: is nothing this pipeline can be asked for; {mend}")


def _seed(generator: torch.Generator | None, seed: int | None) -> int | None:
    if generator is None:
        return seed
    if not isinstance(generator, torch.Generator):
        raise InputError(f"generator {generator!r:.40}: give one torch.Generator, or seed=7")
    if seed is not None:
        raise InputError("generator and seed both say what the noise is; give one of them")
    return int(torch.randint(MAX_SEED, (), generator=generator, device=generator.device))


def _as_asked(frames: np.ndarray, output_type: OutputType) -> list[list[Image.Image]] | np.ndarray | Tensor:
    whole = Block(0, frames)
    if output_type == "np":
        return frames[None].astype(np.float32) / 255
    return [whole.images()] if output_type == "pil" else whole.tensor()[None]
