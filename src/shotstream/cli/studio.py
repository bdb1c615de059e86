"""``shotstream studio``: direct a film in the browser while it plays."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from shotstream.cli import options
from shotstream.cli.console import say

if TYPE_CHECKING:
    from shotstream.film.director import Director


def studio(
    host: Annotated[str, typer.Option(help="Address to answer on: this machine's own.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to answer on.")] = 7860,
    films: Annotated[
        Path, typer.Option(help="Folder in which films are kept.", metavar="DIR", show_default="~/ShotStream")
    ] = Path("~/ShotStream"),
    model: options.Model = "storyworld",
    device: options.DeviceName = "auto",
    dtype: options.Dtype = "auto",
    open_page: Annotated[bool, typer.Option("--open/--no-open", help="Open the page in a browser.")] = True,
) -> None:
    """Direct a film in the browser, shot by shot, while it plays. Everything is kept as it is made."""
    import uvicorn

    from shotstream.serving.app import make_app
    from shotstream.serving.protocol import MAX_MESSAGE
    from shotstream.serving.safety import loopback
    from shotstream.serving.server import Server, free_socket

    listening = free_socket(loopback(host), port)

    def load() -> Director:
        from shotstream.api import load as load_director

        return load_director(model, device=device, dtype=dtype)

    app = make_app(load, films.expanduser(), port)
    config = uvicorn.Config(
        app, log_level="warning", ws="websockets-sansio", ws_max_size=4 * MAX_MESSAGE, server_header=False
    )
    address = f"http://{host}:{port}/"
    say(f"studio: {address}  (films in {films.expanduser()}; Ctrl-C ends)")
    Server(config, address if open_page else None).run(sockets=[listening])
