"""The director: a loaded model that opens films and makes their shots."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
from torch import Tensor

from shotstream.core.context_budget import POLICIES, PolicyName
from shotstream.core.geometry import Geometry
from shotstream.film.film import Film
from shotstream.film.record.film_record import LoraUse
from shotstream.film.record.script import checked_shot
from shotstream.sampling.adapters import Adapter, ReadLora, RuntimeAdapters, no_lora
from shotstream.sampling.block import Block
from shotstream.sampling.context import BlankShot, ChosenContext, FinishedShot
from shotstream.sampling.rollout import NamedNoise
from shotstream.sampling.shot_generator import ShotGenerator, ShotRequest
from shotstream.sampling.solvers import NEVER, Draw, Flow, GradientPolicy, Sampler
from shotstream.sampling.streaming import StreamingShot

MOST_OPEN = 1000  # blocks whose time nobody has asked for yet


class Director:
    """Made by :func:`shotstream.load`. ``model_version`` tells weights, and how they are sampled, from others.

    ::

        director = shotstream.load("storyworld")
        film = director.open(global_caption="A red fox in the snow.", seed=7)
    """

    def __init__(
        self,
        generator: ShotGenerator,
        *,
        model_name: str,
        model_version: str,
        words: frozenset[str] = frozenset(),
        read_lora: ReadLora = no_lora,
    ) -> None:
        self._generator = generator
        self._adapters, self._read_lora = RuntimeAdapters(generator.model), read_lora
        self._words = words
        self._clock = generator.sampler = _TimedSampler(generator.sampler, self.device)
        self._loaded = generator.settings, model_version
        self.model_name = model_name
        self.model_version = model_version

    def __repr__(self) -> str:
        size = f"{self.geometry.width}x{self.geometry.height}"
        number = str(self.dtype).removeprefix("torch.")
        return f"<director of {self.model_name} {self.model_version}: {size}, {self.device}, {number}>"

    @property
    def generator(self) -> ShotGenerator:
        """What makes the blocks of a shot."""
        return self._generator

    @property
    def geometry(self) -> Geometry:
        return self._generator.codec.geometry

    @property
    def device(self) -> torch.device:
        return self._generator.model.device

    @property
    def dtype(self) -> torch.dtype:
        """Number format of the model's matmuls."""
        return self._generator.model.dtype

    @property
    def denoise_seconds(self) -> float:
        """Time spent in denoising so far (not in encoding prompts and condition frames, or decoding)."""
        return self._clock.seconds

    @property
    def steps(self) -> int | None:
        """Denoising steps of a block; None for a sampler whose number of steps is not to be changed."""
        settings = self._generator.settings
        return len(settings.timesteps) if settings.kind == "few_step" else None

    @property
    def most_steps(self) -> int | None:
        """The steps it was loaded with."""
        settings, _ = self._loaded
        return len(settings.timesteps) if settings.kind == "few_step" else None

    def sample_in(self, steps: int) -> None:
        """Make blocks in so many steps, from the next one on: fewer are faster, and change frames (``model_version``
        says so). Raises :class:`InputError` for more than it was loaded with, or less than one."""
        settings, version = self._loaded
        fewer = steps != self.most_steps
        self._generator.sample_by(settings.fewer(steps) if fewer else settings)
        self._generator.sampler = self._clock.around(self._generator.sampler)
        self.model_version = f"{version} in {steps} steps" if fewer else version

    def open(
        self,
        *,
        global_caption: str,
        seed: int = 0,
        context_policy: PolicyName | None = None,
        folder: str | Path | None = None,
    ) -> Film:
        """A new film. Nothing is made yet.

        context_policy: how frames of earlier shots are chosen to condition later ones, such as ``retrieval``; None is
        the model's own (:meth:`Film.set_context_policy`). folder: an empty or new one, in which the film is kept from
        now on: every command and every finished take is on the disk before it is acknowledged.

        Raises :class:`InputError` for a blank caption, an impossible seed, an unknown policy or a folder that is not
        empty.
        """
        return Film.new(
            self, global_caption, seed, None if folder is None else Path(folder), context_policy=context_policy
        )

    def reopen(self, path: str | Path) -> Film:
        """The film saved in the file, or kept in the folder, ``path``, to go on with.

        Raises :class:`InputError` if it is none, or damaged.
        """
        return Film.reopen(self, path)

    def unknown_words(self, text: str) -> list[str]:
        """Words of ``text`` that the model was not trained on, in order, each once."""
        return self._generator.text_encoder.unknown_words(text)

    def lost_words(self, prompt: str) -> list[str]:
        """Words of a whole ``prompt`` that are not read because it is longer than the text encoder reads, in order."""
        return self._generator.text_encoder.lost_words(prompt)

    @property
    def text_len(self) -> int:
        """Tokens of a prompt that are read."""
        return self._generator.text_encoder.text_len

    def known_words(self) -> frozenset[str]:
        """Every word the model was trained on; empty if it reads any word."""
        return self._words

    def cache_bytes(self) -> int:
        """Bytes of keys and values of the shots being made or prepared."""
        return self._generator.cache_bytes

    def warm_up(self) -> None:
        """Make and drop one block behind a blank shot, so that what follows runs at its usual speed."""
        request = ShotRequest(prompt="-", blocks=1, noise=NamedNoise(0, shot=0))
        for _ in self.make(request, self.choose_context([BlankShot(self.geometry)], request.prompt)):
            pass

    def prompt(self, global_caption: str, caption: str, shot: int) -> str:
        """What the model reads for shot number ``shot`` of a film, counted from 0: its preset's prompt form."""
        return self._generator.preset.prompt(global_caption, caption, shot)

    def choose_context(
        self, past: Sequence[FinishedShot], prompt: str, policy: PolicyName | None = None
    ) -> ChosenContext:
        """Which frames of ``past`` condition the shot ``prompt`` that follows, and the captions they read.

        policy: how they are chosen; None is the preset's.
        """
        return self._generator.context.choose(past, prompt, None if policy is None else POLICIES[policy])

    def load_lora(
        self, path: str | Path, *, name: str | None = None, weight: float = 1.0, alpha: float | None = None
    ) -> str:
        """Load LoRA adapters from a file or peft's folder, for takes to come; returns their name.

        name: None is the file's. weight: where a film or shot says none; 0: not used there.
        alpha: of adapters of which nothing says theirs. Raises :class:`WeightsError` for adapters of another model or
        of a kind that is not supported, :class:`InputError` for a name that is taken.
        """
        called = _name_of(Path(path)) if name is None else name
        asked = checked_shot(0, "-", lora={called: weight}).lora or {}
        changes, fingerprint = self._read_lora(Path(path), self._generator.model, alpha)
        self._adapters.add(called, Adapter(changes, asked[called], fingerprint))
        return called

    def unload_lora(self, name: str) -> None:
        """Let go of the adapters called ``name``; the model's weights are as they were, to the bit, if none are left.

        A take that is being made with them cannot go on. Raises :class:`InputError` if there are none.
        """
        self._adapters.remove(name)
        self._generator.prompts.forget()

    def loras(self) -> dict[str, LoraUse]:
        """The adapters that are loaded, by name, with the weight they have where none is said."""
        return {
            name: LoraUse(name=name, weight=one.usual, fingerprint=one.fingerprint)
            for name, one in self._adapters.known.items()
        }

    def _use(self, context: ChosenContext) -> None:
        """Have the adapters of a shot in the weights."""
        if self._adapters.use(dict(context.lora)):
            self._generator.prompts.forget()

    def prepare(self, context: ChosenContext) -> StreamingShot:
        """Encode the condition frames and run the context pass, before the next shot is asked for."""
        self._use(context)
        return self._generator.prepare(context)

    def read_ahead(self, prompt: str) -> None:
        """Encode the prompt of a shot that may come next."""
        self._generator.read_ahead(prompt)

    def make(
        self, request: ShotRequest, context: ChosenContext, prepared: StreamingShot | None = None
    ) -> Iterator[Block]:
        """The blocks of one shot, as they are made. Equal requests in equal contexts give equal frames, to the bit."""
        blocks = self._generator.shot(request, context, prepared)
        while True:
            self._use(context)  # a shot of another film may have been made meanwhile
            block = next(blocks, None)
            if block is None:
                return
            yield block


def _name_of(path: Path) -> str:
    """The name of the adapters in ``path``: the file's, or its folder's if the file has a standard name."""
    return path.resolve().parent.name if path.stem in ("adapter_model", "pytorch_lora_weights") else path.stem


class _TimedSampler:
    """A sampler that adds up how long it took. On a GPU its clock is the device's: nobody waits for it before
    the time is asked for."""

    def __init__(self, sampler: Sampler, device: torch.device) -> None:
        self._sampler = sampler
        self._device = device
        self._seconds = 0.0
        self._open: list[tuple[Any, Any]] = []  # events of the device

    @property
    def seconds(self) -> float:
        """So far."""
        for started, ended in self._open:
            ended.synchronize()
            self._seconds += started.elapsed_time(ended) / 1e3
        self._open.clear()
        return self._seconds

    def around(self, sampler: Sampler) -> _TimedSampler:
        """Itself, with another sampler in it."""
        self._sampler = sampler
        return self

    def __call__(self, flow: Flow, draw: Draw, gradient: GradientPolicy = NEVER) -> Tensor:
        if self._device.type != "cpu":
            event = torch.get_device_module(self._device).Event
            started, ended = (event(enable_timing=True) for _ in range(2))
            started.record()
            clean = self._sampler(flow, draw, gradient)
            ended.record()
            self._open.append((started, ended))
            if len(self._open) > MOST_OPEN:
                _ = self.seconds
            return clean
        before = perf_counter()
        clean = self._sampler(flow, draw, gradient)
        self._seconds += perf_counter() - before
        return clean
