"""``shotstream generate``: a story becomes a film."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypedDict

import typer

from shotstream.cli import options
from shotstream.cli.console import err, put, put_json, say, tell_plan
from shotstream.cli.generate_folder import Wanted, Workers, generate_folder
from shotstream.core.errors import InputError

if TYPE_CHECKING:
    from shotstream.api import Loading
    from shotstream.core.story import Story
    from shotstream.film.report import RenderReport

OUTPUT_HELP = "The film [default: beside the story]."
Output = Annotated[Path | None, typer.Option("-o", "--output", help=OUTPUT_HELP, metavar="FILM.mp4")]
RENDERS_HELP = "Who renders a folder of stories: this process, or a Ray cluster."
Renders = Annotated[Literal["local", "ray"], typer.Option(help=RENDERS_HELP)]


class Keeping(TypedDict):
    """What becomes of files; :func:`shotstream.api.render_story` says what each of these means."""

    force: bool
    keep_shots: bool
    storyboard: bool


def generate(
    story: Annotated[str | None, typer.Argument(help=options.STORY_HELP, metavar="STORY")] = None,
    prompt: Annotated[str | None, typer.Option(help="Global caption, instead of a file.", metavar="TEXT")] = None,
    shot: Annotated[list[str] | None, typer.Option(help="Caption of a shot; repeat it.", metavar="TEXT")] = None,
    output: Output = None,
    model: options.Model = "storyworld",
    seed: options.Seed = None,
    device: options.DeviceName = "auto",
    dtype: options.Dtype = "auto",
    size: options.Size = None,
    steps: options.Steps = None,
    window: options.Window = None,
    refresh: options.Refresh = None,
    memory: options.Memory = None,
    light_decoder: options.LightDecoder = False,
    attention: options.Attention = "auto",
    force: Annotated[bool, typer.Option("--force", help="Replace an existing film and storyboard.")] = False,
    keep_shots: Annotated[bool, typer.Option("--keep-shots", help="On Ctrl-C, keep the finished shots.")] = False,
    storyboard: Annotated[bool, typer.Option(help="Also write a PNG with frames of every shot.")] = True,
    engine: Renders = "local",
    workers: Annotated[int, typer.Option(min=1, help="Stories that Ray renders side by side.")] = 2,
    cpus: options.Cpus = 1,
    gpus: options.Gpus = 0,
    as_json: options.Json = False,
) -> None:
    """Make a film from a story: an MP4 with a chapter per shot, and a storyboard picture.

    With a folder, each of its stories becomes a film (in the folder -o names, else beside it); films that are there
    are left alone, so that the same command goes on where it was interrupted.
    """
    loading: Loading = {"device": device, "dtype": dtype, "size": size, "steps": steps}
    loading |= {"window": window, "refresh": refresh}
    loading |= {"memory": memory, "light_decoder": light_decoder, "attention": attention}
    if story is not None and _is_folder_of_stories(story):
        crew = Workers(ray=engine == "ray", count=workers, cpus=cpus, gpus=gpus)
        wanted = Wanted(model=model, loading=loading, seed=seed, force=force, storyboard=storyboard)
        return generate_folder(Path(story), output or Path(story), crew, wanted, as_json=as_json)
    if engine != "local":
        raise InputError(f"--engine {engine}: renders a folder of stories; name one")
    script, film = _script(story, prompt, shot), output or _beside(story)
    _refuse_what_is_there(film, storyboard=storyboard, force=force)
    loading["on_plan"] = tell_plan
    keeping: Keeping = {"force": force, "keep_shots": keep_shots, "storyboard": storyboard}
    report = _render(script, film, model=model, seed=seed, keeping=keeping, loading=loading)
    if as_json:
        put_json(report.model_dump(mode="json", exclude={"picked_up"}))
    else:
        put("\n".join(filter(None, (report.output, report.storyboard))))
    _tell(report)


def _refuse_what_is_there(film: Path, *, storyboard: bool, force: bool) -> None:
    """Before torch is loaded: a person should not wait for a no."""
    from shotstream.media.film_paths import ready_for_film

    ready_for_film(film, storyboard=storyboard, force=force)


def _is_folder_of_stories(path: str) -> bool:
    from shotstream.media.prompt_formats import longlive

    return Path(path).is_dir() and not longlive.is_folder(Path(path))


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
    script: Story, film: Path, *, model: str, seed: int | None, keeping: Keeping, loading: Loading
) -> RenderReport:
    """Load the model and make the film, with a progress bar per shot."""
    from shotstream.api import render_story
    from shotstream.cli.shot_bars import ShotBars

    bars = ShotBars(err)
    try:
        with bars:
            return render_story(script, film, model=model, seed=seed, on_progress=bars.show, **keeping, **loading)
    except KeyboardInterrupt:
        if keeping["keep_shots"] and bars.finished:
            say(f"{bars.finished} finished {'shot is' if bars.finished == 1 else 'shots are'} in {film}")
        elif bars.finished:
            say("the same command goes on where this one was interrupted")
        raise


def _tell(report: RenderReport) -> None:
    seconds = report.frames / report.fps
    say(
        f"{report.frames} frames ({seconds:.1f} s of film, {report.width}x{report.height}) at "
        f"{report.end_to_end_fps:.1f} frames/s; first frame after {report.seconds_to_first_frame:.2f} s "
        f"({report.model} {report.model_version}, {report.device}, {report.dtype}, seed {report.seed}; "
        "without loading the model and one warm-up block)"
    )
    if report.picked_up:
        say(f"{report.picked_up} of {len(report.shots)} shots were made by an interrupted run; speeds leave them out")
    if report.unknown_words:
        say(f"words the model does not know: {', '.join(report.unknown_words)}")
