"""``shotstream eval``: measure how good a model or a film is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from shotstream.cli import options
from shotstream.cli.console import err, put, put_json, say
from shotstream.core.errors import InputError

if TYPE_CHECKING:
    from shotstream.evaluation.detectors import CutDetector
    from shotstream.evaluation.judge import Recognisers
    from shotstream.evaluation.measures import Interval
    from shotstream.evaluation.run import SuiteRun
    from shotstream.evaluation.scores import SuiteScores

app = typer.Typer(help="Measure how good a model or a film is.", rich_markup_mode=None)

Folder = Annotated[Path, typer.Option(help="Folder of results; a rerun goes on where it stopped.", metavar="DIR")]
DetectorName = Annotated[
    str, typer.Option(help="pyscenedetect, or transnetv2: the paper's, twenty times slower.", metavar="NAME")
]
Systems = Annotated[
    str | None,
    typer.Option(
        help="Comma-separated names [default: the usual ones]; NAME=MODEL adds another student.", metavar="A,B"
    ),
]
Shown = Annotated[str | None, typer.Option(help="Comma-separated names [default: all with results].", metavar="A,B")]
Stories = Annotated[int | None, typer.Option(min=1, help="Only the first N stories (12 is quick).", metavar="N")]
RESULTS = Path("build/eval")
MID_SHOT_SUITE = "storyworld-101"


@app.command()
def suite(
    name: Annotated[str, typer.Argument(help="A suite's name: storyworld-101, storyworld-long.", metavar="NAME")],
    stories: Stories = None,
    systems: Systems = None,
    model: options.Model = "storyworld",
    device: options.DeviceName = "auto",
    dtype: options.Dtype = "auto",
    detector: DetectorName = "pyscenedetect",
    out: Folder = RESULTS,
    as_json: options.Json = False,
) -> None:
    """Let systems film a suite's stories, and measure the films. The same command goes on where it stopped."""
    from shotstream.cli.eval_systems import build_systems, check_systems, labels
    from shotstream.evaluation.scores import score

    check_systems(_split(systems) or [])
    run, absent = _run(name, out, detector, stories)
    built, without = build_systems(_split(systems), model=model, device=device, dtype=dtype)
    try:
        run.run(built, stories, lambda system, done, total: say(f"{system}: {done} of {total} stories"))
    except KeyboardInterrupt:
        for system in built:
            missing = run.missing(system.name, stories)
            if missing:
                say(f"{system.name}: {len(missing)} stories are missing: {', '.join(missing)}")
        say("run the same command again to go on")
        raise
    asked = labels(_split(systems) or [system.name for system in built])
    scores = score(run, asked, stories, absent | without)
    if as_json:
        put_json(scores.as_json())
    else:
        _table(scores)


@app.command()
def film(
    film: Annotated[Path, typer.Argument(help="A video file.", metavar="FILM")],
    story: Annotated[Path, typer.Option(help="The story it tells.", metavar="STORY")],
    detector: DetectorName = "pyscenedetect",
    dinov2: Annotated[str | None, typer.Option(help="DINOv2 for subjects: folder or hub id.", metavar="SOURCE")] = None,
    clip: Annotated[
        str | None, typer.Option(help="CLIP for backgrounds and words: folder or hub id.", metavar="SOURCE")
    ] = None,
    xclip: Annotated[str | None, typer.Option(help="X-CLIP for meaning: folder or hub id.", metavar="SOURCE")] = None,
    as_json: options.Json = False,
) -> None:
    """Measure any film against its story: cuts, consistency, motion. Names what could not be measured."""
    from shotstream.evaluation.any_film import choose_networks, score_film
    from shotstream.families.storyworld import STORYWORLD
    from shotstream.media.story_file import read_story
    from shotstream.media.video import read_info

    script = read_story(story, say)
    read_info(film)
    chosen, absent = choose_networks(dinov2, clip, xclip)
    found, missing = _detector(detector)
    scores = score_film(film, script, STORYWORLD.geometry, found, **chosen, absent=missing | absent)
    if as_json:
        put_json(scores.model_dump(mode="json"))
        return
    for name, value in scores.measures.items():
        put(f"{name}  {'-' if value is None else f'{value:.3f}'}")
    say(f"cuts at frames {', '.join(map(str, scores.cuts)) or 'none'} ({scores.detector})")
    for role, network in scores.networks.items():
        say(f"{role}: {network}")
    _say_absent(scores.absent)


@app.command()
def change(
    stories: Annotated[int, typer.Option(min=1, help="Change shots of the first N stories.", metavar="N")] = 60,
    model: options.Model = "storyworld",
    device: options.DeviceName = "auto",
    dtype: options.Dtype = "auto",
    as_json: options.Json = False,
) -> None:
    """Change captions in mid-shot: is the change seen within two blocks, and does the place stay what it was?"""
    from shotstream.api import load
    from shotstream.evaluation.context import find_changes, score_changes
    from shotstream.evaluation.suites import read_suite

    changes = list(find_changes([one.story for one in read_suite(MID_SHOT_SUITE).first(stories)]))
    director = load(model, device=device, dtype=dtype)
    recognisers = _recognisers()
    found = score_changes(director, recognisers, changes, lambda done: say(f"{done} of {len(changes)}"))
    if as_json:
        put_json({name: scores.model_dump(mode="json") for name, scores in found.items()})
        return
    for name, scores in found.items():
        cells = (("before", scores.before), ("after", scores.after), ("so from the start", scores.whole))
        said = ", ".join(f"{what} {_cell(one)}" for what, one in (*cells, ("place kept", scores.place_kept)))
        put(f"{name} ({scores.changes}): {said}")


@app.command()
def drift(
    stories: Annotated[int, typer.Option(min=1, help="The first shots of the first N stories.", metavar="N")] = 12,
    frames: Annotated[int, typer.Option(min=1, help="Length of each shot.", metavar="N")] = 1000,
    model: options.Model = "storyworld",
    device: options.DeviceName = "auto",
    dtype: options.Dtype = "auto",
    as_json: options.Json = False,
) -> None:
    """Film long shots without a cut: by how much do the last 100 frames fall short of the first 100?"""
    from shotstream.api import load
    from shotstream.evaluation.long_shot import score_long_shots
    from shotstream.evaluation.suites import read_suite

    told = [one.story for one in read_suite(MID_SHOT_SUITE).first(stories)]
    director = load(model, device=device, dtype=dtype)
    found = score_long_shots(director, _recognisers(), told, frames, lambda done: say(f"{done} of {len(told)}"))
    if as_json:
        put_json({name: drift.model_dump(mode="json") for name, drift in found.items()})
        return
    for name, one in found.items():
        put(f"{name}: first {_cell(one.first)}, last {_cell(one.last)}, drift {_cell_or_dash(one.drift)}")


@app.command()
def context(
    name: Annotated[
        str, typer.Argument(help="storyworld-101, or storyworld-long.", metavar="NAME")
    ] = "storyworld-long",
    stories: Stories = None,
    policies: Annotated[
        str, typer.Option(help="Context policies, with commas.", metavar="A,B")
    ] = "dynamic,recency,first-last,retrieval",
    budget: Annotated[int | None, typer.Option(min=1, help="Condition frames [default: the model's].")] = None,
    as_json: options.Json = False,
) -> None:
    """Do the condition frames a context policy chooses show the places and characters that come back? No model runs."""
    from shotstream.evaluation.context import score_by_length
    from shotstream.evaluation.suites import read_suite
    from shotstream.families.storyworld import STORYWORLD

    frames = budget or STORYWORLD.geometry.context_frames
    groups = score_by_length(read_suite(name), stories, _split(policies) or [], frames)
    if as_json:
        shown = {
            str(shots): {policy: scores.model_dump(mode="json") for policy, scores in found.items()}
            for shots, found in groups.items()
        }
        put_json({"suite": name, "budget": frames, "groups": shown})
        return
    for shots, found in groups.items():
        for policy, scores in found.items():
            cells = ("near_held", "late_held", "beyond_held", "late_share")
            said = ", ".join(f"{cell} {_cell_or_dash(getattr(scores, cell))}" for cell in cells)
            put(f"{shots} shots, {policy}: {said}")


@app.command()
def clips(
    film: Annotated[Path, typer.Argument(help="A film file, or the folder of a film.", metavar="FILM")],
    script: Annotated[Path, typer.Argument(help="The script of ST-Bench or EntityBench it was made from.")],
    out: Annotated[Path, typer.Option("-o", "--output", help="Folder for the clips.", metavar="DIR")] = Path("clips"),
    force: Annotated[bool, typer.Option("--force", help="Replace files that exist.")] = False,
) -> None:
    """Cut a film of a benchmark's script into one clip for every prompt, named as the benchmark's evaluator wants."""
    from shotstream.core.files import ready_to_write
    from shotstream.film.disk.archive import read_stored
    from shotstream.film.timeline import timeline_of
    from shotstream.media.exports.scene_clips import scene_clips, write_scene_clips

    record, store = read_stored(film)
    wanted = scene_clips(timeline_of(record, store, film.stem), script, out)
    for path in wanted:
        if path.parent.is_dir():
            ready_to_write(path, force=force)
    write_scene_clips(wanted)
    for path in wanted:
        put(str(path))


@app.command()
def report(
    name: Annotated[str, typer.Argument(help="A suite that was run.", metavar="NAME")],
    stories: Stories = None,
    systems: Shown = None,
    detector: DetectorName = "pyscenedetect",
    out: Folder = RESULTS,
    page: Annotated[Path, typer.Option(help="The page to write; images go beside it.", metavar="PAGE.md")] = Path(
        "docs/results.md"
    ),
) -> None:
    """Write tables, plots and storyboards of a suite's results, from what is on disk."""
    from shotstream.cli.eval_systems import filmed_systems
    from shotstream.evaluation.report import write_report
    from shotstream.evaluation.scores import score

    run, absent = _run(name, out, detector, stories)
    there = filmed_systems(run.folder)
    shown = _split(systems) or there
    unknown = [one for one in shown if one not in there]
    if unknown:
        raise InputError(f"no results of a system {unknown[0]!r} in {run.folder}; there may be: {', '.join(there)}")
    scores = score(run, shown, stories, absent)
    write_report(run, scores, page)
    put(str(page))


def _run(name: str, out: Path, detector: str, stories: int | None) -> tuple[SuiteRun, dict[str, str]]:
    """The run of a suite that has so many stories, and which detectors are not there."""
    from shotstream.evaluation.run import SuiteRun
    from shotstream.evaluation.suites import read_suite

    chosen = read_suite(name)
    chosen.first(stories)
    found, absent = _detector(detector)
    return SuiteRun(chosen, _recognisers(), found, out / chosen.version), absent


def _recognisers() -> Recognisers:
    """The packaged ones; says so where they were trained on films of another world."""
    from shotstream.evaluation.judge import Recognisers

    recognisers = Recognisers.load()
    if recognisers.stale:
        say(recognisers.stale)
    return recognisers


def _detector(name: str) -> tuple[CutDetector, dict[str, str]]:
    from shotstream.evaluation.any_film import choose_detector

    return choose_detector(name)


def _split(names: str | None) -> list[str] | None:
    return None if names is None else [name.strip() for name in names.split(",") if name.strip()]


def _cell(found: Interval) -> str:
    return f"{found.mean:.3f} [{found.low:.3f}, {found.high:.3f}]"


def _cell_or_dash(found: Interval | None) -> str:
    return "-" if found is None else _cell(found)


def _table(scores: SuiteScores) -> None:
    from rich.table import Table

    from shotstream.evaluation.measures import MEASURES

    table = Table(title=f"{scores.suite_version}, {scores.stories} stories")
    table.add_column("measure")
    for name in scores.systems:
        table.add_column(name)
    for measure in MEASURES:
        cells = [row.measures.get(measure.key) for row in scores.systems.values()]
        table.add_row(measure.key, *("-" if cell is None else _cell(cell) for cell in cells))
    table.add_row("asked attributes recognised", *(f"{row.asked_recognised:.3f}" for row in scores.systems.values()))
    from rich.console import Console

    Console().print(table)
    say(f"cuts by {scores.detector}, attributes and features by {scores.recognisers}")
    _say_absent(scores.absent)


def _say_absent(absent: dict[str, str]) -> None:
    for name, why in absent.items():
        err.print(f"absent: {name} ({why})")
