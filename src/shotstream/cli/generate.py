"""``shotstream generate``: a story becomes a film, or every story of a folder one of its own."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Protocol, TypedDict

import typer

from shotstream.cli import options
from shotstream.cli.console import err, put, put_json, say, say_what_is_warmed_up, tell_plan
from shotstream.core.errors import InputError, PromptWarning

if TYPE_CHECKING:
    from shotstream.api import Loading
    from shotstream.core.story import Story
    from shotstream.film.batch import Done, Job, Renderer
    from shotstream.film.director import Director
    from shotstream.film.report import RenderReport

OUTPUT_HELP = "Where the MP4 goes [default: beside the story]; a name in .film also saves the film."
Output = Annotated[Path | None, typer.Option("-o", "--output", help=OUTPUT_HELP, metavar="FILM.mp4")]
SAVED_HELP = "Also save the film itself, to export it, or to go on with it in the studio or the library."
Saved = Annotated[Path | None, typer.Option("--film", help=SAVED_HELP, metavar="FILE.film")]
SOUND_HELP = "A sound track of your own, laid under the film: any file that has one."
Sounding = Annotated[Path | None, typer.Option("--sound", help=SOUND_HELP, metavar="FILE")]
FORCE_HELP = "Replace existing files; make shots even if the model knows no word of their prompts."
_SENTENCE_ENDS = re.compile(r"(?<=[.!?])\s+(?=\S)|(?<=[。！？])\s*(?=\S)")
RENDERS_HELP = "Who renders a folder of stories: this process, or a Ray cluster."
Renders = Annotated[Literal["local", "ray"], typer.Option(help=RENDERS_HELP)]


class Keeping(TypedDict):
    """What becomes of files; :func:`shotstream.api.render_story` says what each of these means."""

    force: bool
    keep_shots: bool
    storyboard: bool
    film: Path | None
    sound: Path | None


@options.loads_model
def generate(
    story: Annotated[str | None, typer.Argument(help=options.STORY_HELP, metavar="STORY")] = None,
    prompt: Annotated[
        str | None, typer.Option(help="Global caption, instead of a file; alone, a film of one shot.", metavar="TEXT")
    ] = None,
    shot: Annotated[list[str] | None, typer.Option(help="Caption of a shot; repeatable.", metavar="TEXT")] = None,
    output: Output = None,
    film: Saved = None,
    sound: Sounding = None,
    model: options.Model = "storyworld",
    seed: options.Seed = None,
    context_policy: options.ContextPolicy = None,
    loading: Any = None,  # from loads_model
    force: Annotated[bool, typer.Option("--force", help=FORCE_HELP)] = False,
    keep_shots: Annotated[bool, typer.Option("--keep-shots", help="On Ctrl-C, keep the finished shots.")] = False,
    storyboard: Annotated[bool, typer.Option(help="Also write a PNG with frames of every shot.")] = True,
    engine: Renders = "local",
    workers: Annotated[int, typer.Option(min=1, help="Stories that Ray renders in parallel.")] = 2,
    cpus: options.Cpus = 1,
    gpus: options.Gpus = 0,
    as_json: options.Json = False,
) -> None:
    """Make a film from a story: an MP4 with a chapter per shot, and a storyboard image.

    With a folder, each of its stories becomes a film (in the folder -o names, else beside it); films that are there
    are left alone, so that the same command goes on where it was interrupted.
    """
    if story is not None and _is_folder_of_stories(story):
        if context_policy is not None:
            raise InputError(
                f"--context-policy {context_policy}: is for one story; in a folder, write it into the stories"
            )
        if sound is not None:
            raise InputError(f"--sound {sound}: is for one story; name it, or lay sound under its film's export")
        crew = Workers(ray=engine == "ray", count=workers, cpus=cpus, gpus=gpus)
        wanted = Wanted(model=model, loading=loading, seed=seed, force=force, storyboard=storyboard)
        return generate_folder(Path(story), output or Path(story), crew, wanted, as_json=as_json)
    if engine != "local":
        raise InputError(f"--engine {engine}: renders a folder of stories; name one")
    script, target = _script(story, prompt, shot), output or _beside(story)
    if seed is not None:
        script = script.model_copy(update={"seed": seed})
    if context_policy is not None:
        script = script.model_copy(update={"context_policy": context_policy})
    if target.suffix.lower() == ".film":
        target, film = target.with_suffix(".mp4"), film or target
    goes_on = not force and _goes_on(target, script)
    keeping: Keeping = {
        "force": force or goes_on,
        "keep_shots": keep_shots,
        "storyboard": storyboard,
        "film": film,
        "sound": sound,
    }
    _refuse_what_is_there(target, keeping)
    loading["on_plan"] = tell_plan
    say_what_is_warmed_up()
    report = _render(script, target, model=model, may_be_blind=force, keeping=keeping, loading=loading)
    _tell(report, film, as_json=as_json)


def _goes_on(film: Path, script: Story) -> bool:
    """Is ``film`` what an interrupted run of the same command kept? Then it may be replaced by the whole."""
    if not film.is_file():
        return False
    from shotstream.media.film_paths import shots_left

    left = shots_left(film, script)
    if left:
        say(f"{film}: lacks {left} of its {len(script.shots)} shots; going on")
    return left > 0


def _refuse_what_is_there(film: Path, keeping: Keeping) -> None:
    """Refuse existing files before torch is loaded, so that nobody waits for the error."""
    from shotstream.core.files import ready_to_write
    from shotstream.media.film_paths import ready_for_film

    ready_for_film(film, storyboard=keeping["storyboard"], force=keeping["force"])
    saved = keeping["film"]
    if saved is not None:
        if saved.suffix.lower() != ".film":
            raise InputError(f"--film {saved}: a saved film's name ends in .film")
        ready_to_write(saved, force=keeping["force"])
    if keeping["sound"] is not None:
        from shotstream.media.sound import read_sound

        read_sound(keeping["sound"])


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
        return read_story(path, say).finite(path)
    if prompt is None:
        raise InputError("give a story file, or --prompt TEXT, with a --shot TEXT for every shot if there are several")
    if not shots:
        prompt, shots = _one_shot(prompt)
    return make_story({"global_caption": prompt, "shots": [{"caption": text} for text in shots]}, "command line")


def _one_shot(prompt: str) -> tuple[str, list[str]]:
    """A global caption and one shot: the prompt's last sentence is what happens, those before it who and where.

    A prompt of one sentence is both: models are trained to read the two.
    """
    *before, last = _SENTENCE_ENDS.split(prompt.strip()) if prompt.strip() else [prompt]
    return (prompt.strip().removesuffix(last).strip(), [last]) if before else (last, [last])


def _beside(story: str | None) -> Path:
    """Where the film goes if nobody says: beside the story, and of a line of a file under the line's number."""
    from shotstream.media.story_file import place_of

    if story is None or story == "-":
        return Path("film.mp4")
    path, line = place_of(story)
    return path.with_name(f"{path.stem}-{line}.mp4") if line is not None else path.with_suffix(".mp4")


def _render(
    script: Story, film: Path, *, model: str, may_be_blind: bool, keeping: Keeping, loading: Loading
) -> RenderReport:
    """Load the model and make the film, with a progress bar per shot."""
    from shotstream.api import render_story
    from shotstream.cli.shot_bars import ShotBars

    bars = ShotBars(err)

    def on_loaded(director: Director) -> None:
        _tell_beforehand(script, director, may_be_blind=may_be_blind)
        if keeping["storyboard"]:
            _tell_undrawable(script)

    try:
        with bars, warnings.catch_warnings():
            warnings.simplefilter("ignore", PromptWarning)  # told by on_loaded
            return render_story(
                script, film, model=model, on_loaded=on_loaded, on_progress=bars.show, **keeping, **loading
            )
    except KeyboardInterrupt:
        if keeping["keep_shots"] and bars.finished:
            say(f"{bars.finished} finished {'shot is' if bars.finished == 1 else 'shots are'} in {film}")
        elif bars.finished:
            say("the same command goes on where this one was interrupted")
        raise


def _tell_beforehand(script: Story, director: Director, *, may_be_blind: bool) -> None:
    """What will not come out as written. Raises :class:`InputError` for a shot of which no word is known."""
    from shotstream.media.story_check import check_story

    found = check_story(script, director)
    for warning in found.warnings:
        say(f"warning: {warning}")
    if found.blind and not may_be_blind:
        raise InputError(
            f"shot {found.blind[0]}: the model knows no word of its prompt, so what it showed would have nothing to do "
            "with it; `shotstream story words` lists what it knows, --force makes the film anyway"
        )


def _tell_undrawable(script: Story) -> None:
    from shotstream.media.fonts import undrawable

    letters = undrawable([script.global_caption, *(shot.caption for shot in script.shots)])
    if letters:
        say(
            f"warning: no font here has {letters[:12]}: the storyboard cannot show these letters; install a Noto font, "
            "or pip install 'shotstream[fonts]'"
        )


def _tell(report: RenderReport, film: Path | None, *, as_json: bool) -> None:
    if as_json:
        put_json(report.model_dump(mode="json", exclude={"picked_up"}))
    else:
        for path in (report.output, report.storyboard, film):
            if path is not None:
                put(str(path))
    seconds = report.frames / report.fps
    say(
        f"{report.frames} frames ({seconds:.1f} s of film, {report.width}x{report.height}) at "
        f"{report.end_to_end_fps:.1f} frames/s; first frame after {report.seconds_to_first_frame:.2f} s "
        f"({report.model} {report.model_version}, {report.device}, {report.dtype}, seed {report.seed}; "
        "without loading the model and one warm-up block)"
    )
    if report.picked_up:
        say(f"{report.picked_up} of {len(report.shots)} shots were made by an interrupted run; speeds leave them out")


@dataclass(frozen=True, kw_only=True, slots=True)
class Workers:
    """Who renders: this process, or ``count`` actors of a Ray cluster with so many cores and GPUs each."""

    ray: bool
    count: int
    cpus: float
    gpus: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """What to render with, and what becomes of films that are there; ``loading``: as for ``shotstream.load``."""

    model: str
    loading: Loading
    seed: int | None
    force: bool
    storyboard: bool


def generate_folder(folder: Path, films: Path, workers: Workers, wanted: Wanted, *, as_json: bool) -> None:
    """Render what is not there yet. Exit code 2 if any story could not be."""
    from shotstream.core.files import make_folder
    from shotstream.film.batch import jobs_of

    jobs = jobs_of(folder.absolute(), films.absolute())
    make_folder(films)
    todo = [job for job in jobs if wanted.force or not job.there]
    old = [job.film for job in jobs if job.older and not wanted.force]
    if len(todo) < len(jobs):
        say(f"{len(jobs) - len(todo)} of {len(jobs)} films are there already")
    if old:
        say(f"older than their stories, made again with --force: {', '.join(old)}")
    done: list[Done] = []
    with _crew(partial(_renderer, wanted), workers if todo else None) as crew, warnings.catch_warnings():
        warnings.simplefilter("ignore", PromptWarning)  # told by the check
        good = []
        for one in crew.check(todo):  # all of them, before the first is rendered
            good += [] if one.fault else [one.job]
            done += [one] if one.fault else []
            for warning in one.warnings:
                say(f"warning: {warning}")
            if one.fault:
                say(f"error: {one.fault}")
        if done and good:
            say(f"{len(good)} of {len(todo)} stories can be made")
        for count, one in enumerate(crew.render(good), start=1):
            done.append(one)
            if one.fault:
                say(f"error: {one.fault}")
            elif not as_json:
                put(one.job.film)
            say(f"{count} of {len(good)}")
    if as_json:
        done.sort(key=lambda one: one.job.story)
        put_json({"there": len(jobs) - len(todo), "films": [_told(one) for one in done]})
    if any(one.fault for one in done):
        raise typer.Exit(2)


class Crew(Protocol):
    """Who checks and renders stories."""

    def check(self, jobs: Sequence[Job]) -> Iterator[Done]: ...

    def render(self, jobs: Sequence[Job]) -> Iterator[Done]: ...

    def close(self) -> None: ...


class Alone:
    """This process, one story after the other."""

    def __init__(self, renderer: Renderer) -> None:
        self._renderer = renderer

    def check(self, jobs: Sequence[Job]) -> Iterator[Done]:
        return map(self._renderer.check, jobs)

    def render(self, jobs: Sequence[Job]) -> Iterator[Done]:
        return map(self._renderer.render, jobs)

    def close(self) -> None:
        """Nobody else was asked."""


@contextmanager
def _crew(make: partial[Renderer], workers: Workers | None) -> Iterator[Crew]:
    """``workers``: None if there is nothing to do."""
    if workers is not None and workers.ray:
        from shotstream.film.batch_ray import RayCrew

        crew: Crew = RayCrew(make, workers=workers.count, cpus=workers.cpus, gpus=workers.gpus)
    else:
        crew = Alone(make())
    try:
        yield crew
    finally:
        crew.close()


def _renderer(wanted: Wanted) -> Renderer:
    """Importable by name, so that Ray can make one on another machine."""
    from shotstream.api import load
    from shotstream.film.batch import Renderer

    loader = partial(load, wanted.model, **wanted.loading)
    return Renderer(loader, seed=wanted.seed, storyboard=wanted.storyboard, force=wanted.force)


def _told(one: Done) -> dict[str, object]:
    report = None if one.report is None else one.report.model_dump(mode="json", exclude={"picked_up"})
    return {"story": one.job.story, "film": one.job.film, "fault": one.fault, "report": report}
