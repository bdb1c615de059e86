"""``shotstream export``: a stored film becomes files that other programs open."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from shotstream.cli import options
from shotstream.cli.console import put, put_json
from shotstream.core.errors import InputError

if TYPE_CHECKING:
    from shotstream.media.exports.edit import Edit

FORMAT_HELP = (
    "mp4, clips (a folder, a shot each), gif, webp, storyboard (PNG), pdf (to print), srt, vtt, otio, edl, story, film."
)
ALREADY = "the film itself; name another"


def export(
    film: Annotated[Path, typer.Argument(help="A film file, or the folder of a film in the studio.", metavar="FILM")],
    outputs: Annotated[
        list[Path] | None,
        typer.Option("-o", "--output", help="What to write; its suffix is the format. Repeat it.", metavar="PATH"),
    ] = None,
    format: Annotated[str | None, typer.Option(help=FORMAT_HELP, metavar="NAME")] = None,
    shot: Annotated[int | None, typer.Option(min=0, help="This shot alone: mp4, gif, webp.", metavar="N")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace files that exist.")] = False,
    as_json: options.Json = False,
) -> None:
    """Write a film as files other programs open, from what is stored: nothing is generated, no model is loaded."""
    from shotstream.core.files import ready_to_write
    from shotstream.film.edit import edit_of
    from shotstream.film.stored import read_stored

    paths = _named(film, outputs or [], format)
    record, store = read_stored(film)
    edits = {path: edit_of(record, store, path.stem) for path in paths}
    for path, edit in edits.items():
        for file in _files(path, edit, format, shot):
            if file.resolve() == film.resolve():
                raise InputError(f"{file}: is {ALREADY}")
            if file.parent.exists() or file.parent == path.parent:
                ready_to_write(file, force=force)
    written = [file for path, edit in edits.items() for file in _write(path, edit, format, shot)]
    files = list(dict.fromkeys(str(file) for file in written))
    if as_json:
        first = next(iter(edits.values()))
        put_json({"files": files, "shots": len(first.shots), "frames": first.frames, "fps": first.picture.fps})
    else:
        for file in files:
            put(file)
