"""``shotstream export``: a stored film becomes files that other programs open."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from shotstream.cli import options
from shotstream.cli.console import put, put_json

FORMATS = "mp4, clips (a folder, a shot each), gif, webp, storyboard (PNG), pdf (to print), srt, vtt, otio, edl, story."
OUTPUT = "What to write; the suffix says the format, .film is the film itself; repeat it [default: beside FILM]."


def export(
    film: Annotated[Path, typer.Argument(help="A film file, or the folder of a film in the studio.", metavar="FILM")],
    outputs: Annotated[list[Path] | None, typer.Option("-o", "--output", help=OUTPUT, metavar="PATH")] = None,
    format: Annotated[str | None, typer.Option(help=FORMATS, metavar="NAME", show_default="mp4")] = None,
    shot: Annotated[int | None, typer.Option(min=0, help="This shot alone (mp4, gif, webp).", metavar="N")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace files that exist.")] = False,
    as_json: options.Json = False,
) -> None:
    """Write a film as files other programs open, from what is stored: no model is loaded, nothing is made again."""
    from shotstream.film.export_stored import export_stored

    report = export_stored(film, outputs or [], name=format, shot=shot, force=force)
    if as_json:
        put_json(report.model_dump(mode="json"))
        return
    for file in report.files:
        put(file)
