"""``shotstream data`` and ``shotstream train``: make training data, and train."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from shotstream.cli import options
from shotstream.cli.console import err, put, put_json

app = typer.Typer(help="Make and look at training data.", rich_markup_mode=None)


Split = Annotated[
    Literal["train", "held-out"],
    typer.Option(help="held-out: combinations of look and light that training never sees."),
]
Stories = Annotated[int, typer.Option(min=1, help="How many stories.", metavar="N")]


@app.command()
def world(
    stories: Stories,
    out: Annotated[
        Path, typer.Option(help="Folder to write to; made when missing, extended when there.", metavar="DIR")
    ],
    seed: options.Seed = 0,
    split: Split = "train",
    workers: Annotated[int, typer.Option(min=0, help="Worker processes; 0 draws in this one.", metavar="N")] = 2,
) -> None:
    """Write stories of the procedural world with their exact truth, in the reference's CSV, JSON and MP4 form."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from shotstream.data.world.dataset import write_dataset
    from shotstream.families.storyworld import STORYWORLD

    with Progress(TextColumn("stories"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=err) as bars:
        task = bars.add_task("stories", total=stories)
        manifest = write_dataset(
            out,
            stories=stories,
            seed=seed or 0,
            split=split,
            geometry=STORYWORLD.geometry,
            progress=lambda done, total: bars.update(task, completed=done, total=total),
            workers=workers,
        )
    put(str(manifest))


@app.command()
def check(
    manifest: Annotated[Path, typer.Argument(help="The CSV that lists clips, or latents.", metavar="CSV")],
    model: Annotated[str, typer.Option(help="Preset by whose shot lengths to count.", metavar="PRESET")] = ("wan-1.3b"),
    root: Annotated[
        Path | None, typer.Option(help="Folder the CSV's paths are relative to [default: its own].", metavar="DIR")
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Files checked in parallel.", metavar="N")] = 8,
    as_json: options.Json = False,
) -> None:
    """List every bad row of a training set, with its line and what to do about it; exit 1 if there is any."""
    from rich.progress import Progress, TextColumn, TimeElapsedColumn

    from shotstream.data.clip_manifest import check_manifest
    from shotstream.families.family import preset

    geometry = preset(model).geometry
    with Progress(TextColumn("{task.description}"), TimeElapsedColumn(), console=err, transient=True) as bars:
        task = bars.add_task("rows", total=None)
        found = check_manifest(
            manifest,
            geometry,
            workers=workers,
            root=root,
            progress=lambda rows: bars.update(task, description=f"{rows} rows"),
        )
    lengths = dict(sorted(found.latent_frames.items()))
    if as_json:
        summary = {"kind": found.kind, "rows": found.rows, "shots": found.shots, "latent_frames": lengths}
        put_json({"manifest": str(manifest), **summary, "faults": found.faults, "ok": not found.faults})
    else:
        for fault in found.faults:
            put(fault)
        put(f"{found.rows} rows ({found.kind}), {found.shots} shots, {len(found.faults)} bad rows")
        for length, count in lengths.items():
            put(f"{count} shots of {length} latent frames")
    if found.faults:
        raise typer.Exit(1)


@app.command()
def sheet(
    out: Annotated[Path, typer.Option(help="The image to write.", metavar="SHEET.png")],
    stories: Stories = 8,
    seed: options.Seed = 0,
    split: Split = "train",
    force: Annotated[bool, typer.Option("--force", help="Replace an existing image.")] = False,
) -> None:
    """Draw a contact sheet of the procedural world: a row per story, a frame per shot, captions beneath."""
    import io

    from shotstream.core.files import ready_to_write, write_bytes
    from shotstream.data.world.stills import contact_sheet
    from shotstream.data.world.stories import make_story
    from shotstream.families.storyworld import STORYWORLD

    ready_to_write(out, force=force)
    told = [make_story((seed or 0) + number, split=split) for number in range(stories)]
    data = io.BytesIO()
    contact_sheet(told, STORYWORLD.geometry).save(data, "PNG")
    write_bytes(out, data.getvalue())
    put(str(out))


def train(
    recipe: Annotated[
        str, typer.Argument(help="A shipped recipe's name (storyworld/teacher) or a path.", metavar="RECIPE")
    ],
    overrides: Annotated[
        list[str] | None, typer.Argument(help="Changed settings: key=value.", metavar="KEY=VALUE")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the resolved recipe and stop.")] = False,
    devices: Annotated[
        int | None, typer.Option(min=1, help="With --dry-run: how many devices to plan for.", metavar="N")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for runs and the data they make.", metavar="DIR")] = Path(
        "build/train"
    ),
) -> None:
    """Run a training recipe. The same command resumes an interrupted run."""
    from shotstream.training.run import main

    main(recipe, overrides or [], dry_run=dry_run, devices=devices, out=out)
