"""``shotstream films`` and ``shotstream export``: manage the films of the studio, and export stored films."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from shotstream.cli import options
from shotstream.cli.console import put, put_json, say

app = typer.Typer(help="List the studio's films, and free disk space.", rich_markup_mode=None)


@app.command("list")
def list_films(films: options.Films = options.FILMS, as_json: options.Json = False) -> None:
    """List all films, the latest first: name, shots, size, and what it is about."""
    from shotstream.film.disk.folder import usage
    from shotstream.serving.library import Library

    library = Library(films.expanduser()) if films.expanduser().exists() else None  # looking makes no folder
    entries = library.entries() if library is not None else ()
    sizes = {entry.id: usage(library.folder(entry.id)) for entry in entries if library is not None}
    if as_json:
        listed = [
            {
                "id": one.id,
                "global_caption": one.global_caption,
                "shots": one.shots,
                "changed": one.changed,
                "bytes": sizes[one.id],
            }
            for one in entries
        ]
        put_json({"films": listed, "bytes": sum(sizes.values())})
        return
    for one in entries:
        put(
            f"{one.id}  {one.shots:4} shots  {sizes[one.id] / 1e6:9.1f} MB  {' '.join(one.global_caption.split())[:60]}"
        )
    say(f"{len(entries)} {'film' if len(entries) == 1 else 'films'}, {sum(sizes.values()) / 1e6:.1f} MB")


@app.command()
def clean(
    names: Annotated[list[str] | None, typer.Argument(help="Films to clean [default: all].", metavar="[ID]...")] = None,
    films: options.Films = options.FILMS,
    unchosen: Annotated[bool, typer.Option("--unchosen", help="Remove takes that are not chosen, too.")] = False,
    as_json: options.Json = False,
) -> None:
    """Make room: drop what undo would need, and remove footage that is in no branch of its film."""
    from shotstream.core.errors import InputError
    from shotstream.film.disk.archive import clean_folder
    from shotstream.film.disk.folder import OpenElsewhereError
    from shotstream.serving.library import Library

    library = Library(films.expanduser())
    for name in names or ():
        if not library.has(name):
            raise InputError(f"{name}: there is no such film in {films}; shotstream films list shows them")
    library.sweep()
    freed: dict[str, int] = {}
    for name in names or [entry.id for entry in library.entries()]:
        try:
            freed[name] = clean_folder(library.folder(name), unchosen=unchosen)
        except OpenElsewhereError as fault:
            if names:
                raise
            say(f"{fault}; it is left as it is")
    if as_json:
        put_json({"films": freed, "bytes": sum(freed.values())})
        return
    for name, size in freed.items():
        put(f"{name}  {size / 1e6:.1f} MB freed")


FORMAT = (
    "The format by name, where the suffix of PATH leaves it open, as for clips (a folder). docs/exchange.md has all."
)
OUTPUT = "What to write; the suffix says the format, .film is the film itself; repeatable [default: beside FILM]."


def export(
    film: Annotated[Path, typer.Argument(help="A film file, or the folder of a film in the studio.", metavar="FILM")],
    outputs: Annotated[list[Path] | None, typer.Option("-o", "--output", help=OUTPUT, metavar="PATH")] = None,
    format: Annotated[str | None, typer.Option(help=FORMAT, metavar="NAME", show_default="mp4")] = None,
    shot: Annotated[int | None, typer.Option(min=0, help="This shot alone (mp4, gif, webp).", metavar="N")] = None,
    fps: Annotated[
        int | None,
        typer.Option(help="Export at another rate: frames are repeated or dropped, not interpolated.", metavar="N"),
    ] = None,
    sound: Annotated[Path | None, typer.Option(help="Add the sound track of this file.", metavar="FILE")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace files that exist.")] = False,
    as_json: options.Json = False,
) -> None:
    """Export a stored film to formats that other programs open. No model is loaded and nothing is rendered again."""
    from shotstream.film.export import export_stored

    report = export_stored(film, outputs or [], name=format, shot=shot, force=force, fps=fps, sound=sound)
    if as_json:
        put_json(report.model_dump(mode="json"))
        return
    for file in report.files:
        put(file)
