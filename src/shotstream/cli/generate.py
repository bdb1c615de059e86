"""``shotstream generate``: a story becomes a film."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from shotstream.cli import options
from shotstream.cli.console import err, put, put_json, say
from shotstream.core.errors import InputError

if TYPE_CHECKING:
    from shotstream.core.story import Story
    from shotstream.film.report import RenderReport


def generate(
    story: Annotated[str | None, typer.Argument(help=options.STORY_HELP, metavar="STORY")] = None,
    prompt: Annotated[str | None, typer.Option(help="Global caption, instead of a file.", metavar="TEXT")] = None,
    shot: Annotated[list[str] | None, typer.Option(help="Caption of a shot; repeat it.", metavar="TEXT")] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="The film [default: beside the story].", metavar="FILM.mp4")
    ] = None,
    model: options.Model = "storyworld",
    seed: options.Seed = None,
    device: options.DeviceName = "auto",
    dtype: options.Dtype = "auto",
    force: Annotated[bool, typer.Option("--force", help="Replace an existing film and storyboard.")] = False,
    keep_shots: Annotated[bool, typer.Option("--keep-shots", help="On Ctrl-C, keep the finished shots.")] = False,
    storyboard: Annotated[bool, typer.Option(help="Also write a PNG with frames of every shot.")] = True,
    as_json: options.Json = False,
) -> None:
    """Make a film from a story: an MP4 with a chapter per shot, and a storyboard picture."""
    from shotstream.media.film_paths import ready_for_film

    script = _script(story, prompt, shot)
    film = output or _beside(story)
    ready_for_film(
        film, storyboard=storyboard, force=force
    )  # before torch is loaded: a person should not wait for a no
    report = _render(
        script,
        film,
        model=model,
        device=device,
        dtype=dtype,
        seed=seed,
        force=force,
        keep_shots=keep_shots,
        storyboard=storyboard,
    )
    if as_json:
        put_json(report.model_dump(mode="json"))
    else:
        put(report.output)
        if report.storyboard:
            put(report.storyboard)
    _tell(report)


def _script(path: str | None, prompt: str | None, shots: list[str] | None) -> Story:
    """The story the arguments name: a file, or ``--prompt`` and ``--shot``."""
    from shotstream.core.story import make_story
    from shotstream.media.story_file import read_story

    if path is not None and (prompt is not None or shots):
        raise InputError("give a story file or --prompt with --shot, not both")
    if path is not None:
        return read_story(path, say)
    if prompt is None or not shots:
        raise InputError("give a story file, or --prompt TEXT with one --shot TEXT or more")
    return make_story({"global_caption": prompt, "shots": [{"caption": text} for text in shots]}, "command line")


def _beside(story: str | None) -> Path:
    return Path("film.mp4") if story in (None, "-") else Path(str(story)).with_suffix(".mp4")


def _render(
    script: Story,
    film: Path,
    *,
    model: str,
    device: str,
    dtype: options.DtypeName,
    seed: int | None,
    force: bool,
    keep_shots: bool,
    storyboard: bool,
) -> RenderReport:
    """Load the model and make the film, with a progress bar per shot."""
    from shotstream.api import render_story
    from shotstream.cli.shot_bars import ShotBars

    bars = ShotBars(err)
    try:
        with bars:
            return render_story(
                script,
                film,
                model=model,
                device=device,
                dtype=dtype,
                seed=seed,
                force=force,
                keep_shots=keep_shots,
                storyboard=storyboard,
                on_progress=bars.show,
            )
    except KeyboardInterrupt:
        if keep_shots and bars.finished:
            say(f"{bars.finished} finished {'shot is' if bars.finished == 1 else 'shots are'} in {film}")
        raise


def _tell(report: RenderReport) -> None:
    seconds = report.frames / report.fps
    say(
        f"{report.frames} frames ({seconds:.1f} s of film, {report.width}x{report.height}) at "
        f"{report.end_to_end_fps:.1f} frames/s; first frame after {report.seconds_to_first_frame:.2f} s "
        f"({report.model} {report.model_version}, {report.device}, {report.dtype}, seed {report.seed}; "
        "without loading the model and one warm-up block)"
    )
    if report.unknown_words:
        say(f"words the model does not know: {', '.join(report.unknown_words)}")
