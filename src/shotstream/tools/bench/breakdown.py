"""Where the time of a film goes, and that of one block, with nothing side by side."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

from shotstream.core.story import Story
from shotstream.film.director import Director
from shotstream.film.render import render
from shotstream.film.report import Progress
from shotstream.tools.bench.figures import BlockTime, Breakdown, Stretch
from shotstream.tools.bench.operations import operations_of_a_block
from shotstream.tools.bench.passes import PassLog
from shotstream.tools.bench.watch import TimedDirector, Watch


@dataclass(frozen=True, slots=True)
class Looked:
    """``denoise_flops``: operations per second of denoising, refreshes included."""

    breakdown: Breakdown
    block: BlockTime
    denoise_flops: float


def look(director: Director, story: Story) -> Looked:
    """Make ``story`` under a watch. What is timed is what ships, but one thing after the other."""
    watch = Watch(director.device)
    timed = TimedDirector(director.shots, watch)
    watched = Director(timed, model_name=director.model_name, model_version=director.model_version)
    told: list[tuple[Progress, float]] = []
    caption_tokens = timed.text_encoder.text_len
    with TemporaryDirectory(prefix="shotstream-bench-") as folder, PassLog(timed.model, watch, caption_tokens) as log:

        def on_progress(progress: Progress) -> None:
            if not told:  # what came before was the warm-up
                watch.seconds.clear()
                log.flops.clear()
            told.append((progress, perf_counter()))

        output = Path(folder) / "film.mp4"
        report = render(watched, story, output, storyboard=False, overlap=False, on_progress=on_progress)
        ended = perf_counter()
    denoising = report.frames / report.denoise_fps
    refresh = watch.seconds["refresh"] + log.refresh_share * watch.seconds["refresh + step"]
    encodes = _encode_seconds(told, ended)
    known = {
        "text": watch.seconds["text"],
        "context_pass": watch.seconds["context"] + watch.seconds["context pass"],
        "denoising": denoising - refresh,
        "cache_refresh": refresh,
        "decode": watch.seconds["decode"],
        "encode": sum(encodes),
    }
    total = ended - told[0][1]
    breakdown = Breakdown(frames=report.frames, total=total, rest=total - sum(known.values()), **known)
    flops = sum(count for kind, count in log.flops.items() if kind != "context pass")
    block = _block(told, watch.stretches, encodes[-1], watched)
    return Looked(breakdown, block, flops / denoising)


def _encode_seconds(told: list[tuple[Progress, float]], ended: float) -> list[float]:
    """Per shot: from its last block until the next shot is begun, or the film is closed."""
    nexts = [*told[1:], (None, ended)]
    return [
        after - at
        for (progress, at), (_, after) in zip(told, nexts, strict=True)
        if progress.blocks_done == progress.blocks
    ]


def _block(
    told: list[tuple[Progress, float]], stretches: list[Stretch], encode: float, director: Director
) -> BlockTime:
    """The second block of the last shot (its first, if it has no other), and its share of the shot's encoding."""
    last = [(progress, at) for progress, at in told if progress.shot == told[-1][0].shot]
    index = min(1, last[0][0].blocks - 1)
    start, end = last[index][1], last[index + 1][1]
    inside = [
        Stretch(name=one.name, start=one.start - start, end=one.end - start)
        for one in stretches
        if start <= one.start and one.end <= end
    ]
    geometry = director.geometry
    frames = geometry.shot_frames(index + 1) - (geometry.shot_frames(index) if index else 0)
    share = encode * frames / geometry.shot_frames(last[0][0].blocks)
    inside.append(Stretch(name="encode", start=end - start, end=end - start + share))
    return BlockTime(frames=frames, timeline=tuple(inside), operations=operations_of_a_block(director))
