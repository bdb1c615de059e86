"""``shotstream films``: the films the studio keeps, and the room they take."""

from __future__ import annotations

from typing import Annotated

import typer

from shotstream.cli import options
from shotstream.cli.console import put, put_json, say

app = typer.Typer(help="The films the studio keeps, and the room they take.", rich_markup_mode=None)


@app.command("list")
def list_films(films: options.Films = options.FILMS, as_json: options.Json = False) -> None:
    """List all films, the latest first: name, shots, size, and what it is about."""
    from shotstream.film.folder import usage
    from shotstream.serving.library import Library

    library = Library(films.expanduser())
    entries = library.entries()
    sizes = {entry.id: usage(library.folder(entry.id)) for entry in entries}
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
    """Make room: forget what undo would need, and remove footage that is no longer in any branch of its film."""
    from shotstream.core.errors import InputError
    from shotstream.film.cleaning import clean_folder
    from shotstream.film.folder import OpenElsewhereError
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
