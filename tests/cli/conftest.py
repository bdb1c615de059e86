"""Commands run in this process, with a stand-in for the model."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from shotstream.cli.main import main
from shotstream.core.geometry import Geometry
from shotstream.core.story import Story
from shotstream.core.words import words_of
from shotstream.film.report import Progress, RenderReport, ShotReport


@dataclass
class Ran:
    """What a command left behind."""

    code: int
    out: str
    err: str


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """Run one command: ``run("generate", "fox.yaml")``."""

    def command(*arguments: object) -> Ran:
        code = main([str(argument) for argument in arguments])
        captured = capfd.readouterr()
        return Ran(code, captured.out, captured.err)

    return command


class Reader:
    """A director as far as it reads: of prompts of the tests it knows a fox and what it does, and no zebra."""

    geometry = Geometry(width=256, height=160, spatial=16, latent_channels=4)
    text_len = 64
    known = frozenset({"a", "fox", "it", "walks", "waves", "ctrl-c"})

    def prompt(self, global_caption: str, caption: str, shot: int) -> str:
        return f"{global_caption} {caption}"

    def unknown_words(self, text: str) -> list[str]:
        return [word for word in words_of(text) if word not in self.known]

    def known_words(self) -> frozenset[str]:
        return self.known

    def lost_words(self, prompt: str) -> list[str]:
        return words_of(prompt)[self.text_len :]


@pytest.fixture
def renders(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Replace the making of films by a record of what was asked; every shot has 3 blocks."""
    calls: list[dict[str, Any]] = []

    def render_story(
        story: Story, output: Path, *, on_progress: Callable[[Progress], None], **options: Any
    ) -> RenderReport:
        calls.append({"story": story, "output": output, **options})
        options["on_loaded"](Reader())
        for index, shot in enumerate(story.shots):
            for block in range(4):
                on_progress(
                    Progress(shot=index, shots=len(story.shots), caption=shot.caption, blocks_done=block, blocks=3)
                )
            if shot.caption == "Ctrl-C":
                raise KeyboardInterrupt
        return report(story, output, options["storyboard"])

    monkeypatch.setitem(sys.modules, "shotstream.api", SimpleNamespace(render_story=render_story))
    return calls


def report(story: Story, output: Path, storyboard: bool) -> RenderReport:
    shots = tuple(
        ShotReport(
            index=index,
            caption=shot.caption,
            first_frame=33 * index,
            frames=33,
            seconds_to_first_frame=0.1,
            seconds=1.0,
        )
        for index, shot in enumerate(story.shots)
    )
    return RenderReport(
        output=str(output),
        storyboard=str(output.with_suffix(".png")) if storyboard else None,
        model="storyworld",
        model_version="1",
        device="cpu",
        dtype="float32",
        seed=story.seed,
        width=256,
        height=160,
        fps=16,
        frames=33 * len(shots),
        shots=shots,
        unknown_words=("zebra",),
        end_to_end_fps=20.0,
        denoise_fps=30.0,
        seconds_to_first_frame=0.1,
        peak_memory_bytes=1,
    )
