"""``shotstream studio``: direct a film in the browser; and its replicas."""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from shotstream.cli import options
from shotstream.cli.console import say, say_what_is_warmed_up, tell_plan
from shotstream.core.errors import InputError

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from shotstream.api import Loading
    from shotstream.film.director import Director
    from shotstream.media.script_writer import ChatModel
    from shotstream.serving.security import Names


EngineName = Literal["local", "processes", "ray"]
Engine = Annotated[
    EngineName, typer.Option(help="One worker here, several replicas in processes here, or on a Ray cluster.")
]
Host = Annotated[str, typer.Option(help="Address to listen on; any but this machine's own requires a token.")]
TOKEN_HELP = "File with the token that clients must give [default: SHOTSTREAM_TOKEN, or a new one]."
TokenFile = Annotated[Path | None, typer.Option(help=TOKEN_HELP, metavar="FILE")]
ALLOW_HOST_HELP = (
    "Another name (and port) by which it is reached, through ssh -L or a proxy; repeatable [default: none]."
)
AllowHost = Annotated[
    list[str] | None, typer.Option("--allow-host", "--name", help=ALLOW_HOST_HELP, metavar="NAME[:PORT]")
]
RootPath = Annotated[str, typer.Option(help="Path under which a proxy serves it, such as /studio.", metavar="PATH")]
Certificate = Annotated[Path | None, typer.Option(help="Certificate (PEM): serve https.", metavar="FILE")]
ENDPOINT_HELP = "Where a chat model answers as OpenAI's do: the page then offers to write shots from an idea."
Endpoint = Annotated[str | None, typer.Option(help=ENDPOINT_HELP, metavar="URL")]
WriterName = Annotated[str | None, typer.Option("--writer", help="The chat model's name there.", metavar="NAME")]
Budget = Annotated[
    float | None,
    typer.Option("--disk-budget", min=0.001, help="Disk space that films may take [default: no limit].", metavar="GB"),
]


HOST_PORT = re.compile(r":\d+$")


@dataclass(frozen=True, slots=True)
class Kept:
    """Where films are kept, and the bytes they may fill; the chat model that writes for them, if there is one."""

    films: Path
    budget: int | None
    writer: ChatModel | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Share:
    """A studio of several replicas."""

    engine: EngineName
    replicas: int
    seats: int
    cpus: float
    gpus: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Entrance:
    """Who is let in: everybody (no token) or who has it, and under which names. ``made``: it is a new token."""

    token: str | None
    made: bool
    local: bool
    names: Names


@options.loads_model
def studio(
    host: Host = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 7860,
    token_file: TokenFile = None,
    allow_host: AllowHost = None,
    root_path: RootPath = "",
    tls_certificate: Certificate = None,
    tls_key: Annotated[Path | None, typer.Option(help="The certificate's private key (PEM).", metavar="FILE")] = None,
    films: options.Films = options.FILMS,
    disk_budget: Budget = None,
    endpoint: Endpoint = None,
    writer: WriterName = None,
    engine: Engine = "local",
    replicas: Annotated[
        int, typer.Option(min=1, max=256, help="Number of replicas, with --engine processes or ray.")
    ] = 2,
    seats: Annotated[int, typer.Option(min=1, max=256, help="Films that can be watched at once at each replica.")] = 4,
    cpus: options.Cpus = 1,
    gpus: options.Gpus = 0,
    model: options.Model = "storyworld",
    loading: Any = None,  # from loads_model
    open_page: Annotated[bool, typer.Option("--open/--no-open", help="Open the page in a browser.")] = True,
) -> None:
    """Direct a film in the browser, shot by shot, while it plays. Everything is saved as it is made."""
    from shotstream.serving.server import Server, checked_path, free_socket, listening_config, under_path

    entrance, root_path = _entrance(host, port, token_file, allow_host or []), checked_path(root_path)
    asked = _writer(endpoint, writer)
    listening = free_socket(host, port)
    kept = Kept(films.expanduser(), None if disk_budget is None else round(disk_budget * 1e9), asked)
    if engine == "local":
        app = _alone(model, loading, kept, port, entrance)
    else:
        share = Share(engine=engine, replicas=replicas, seats=seats, cpus=cpus, gpus=gpus)
        app = _several(share, model, loading, kept, port, entrance)
    app = under_path(app, root_path)
    config = listening_config(app, tls_certificate, tls_key)
    site = f"{f'[{host}]' if ':' in host else host}:{port}"
    address = f"{'https' if config.is_ssl else 'http'}://{site}{root_path}/"
    say(f"studio: {address}  (films in {kept.films}; Ctrl-C ends)")
    if asked is not None:
        say(f"writer: {asked.name}; ideas typed on the page are sent to {asked.endpoint}")
    if entrance.made:
        say(f"token:  {entrance.token}  (made for this run and shown once; the page asks for it)")
    if entrance.token is not None and not config.is_ssl and not entrance.local:
        say("warning: without --tls-certificate whoever can listen on the network can read the token and the films")
    page = address.replace("0.0.0.0", "127.0.0.1").replace("[::]", "[::1]")
    Server(config, page if open_page else None).run(sockets=[listening])


def _alone(model: str, loading: Loading, kept: Kept, port: int, entrance: Entrance) -> ASGIApp:
    from shotstream.serving.app import make_app

    def load() -> Director:
        from shotstream.api import load as load_director

        told: Loading = {**loading, "on_plan": tell_plan}
        say_what_is_warmed_up()
        return load_director(model, **told)

    return make_app(
        load,
        kept.films,
        port,
        disk_budget=kept.budget,
        token=entrance.token,
        names=entrance.names,
        writer=kept.writer,
    )


def _several(share: Share, model: str, loading: Loading, kept: Kept, port: int, entrance: Entrance) -> ASGIApp:
    from shotstream.serving.fleet.processes import ReplicaSettings, process_launcher
    from shotstream.serving.fleet.router import make_router, new_replica_token

    token = new_replica_token()
    settings = ReplicaSettings(
        films=str(kept.films.absolute()),
        token=token,
        disk_budget=kept.budget,
        writer=kept.writer,
        loading={"model": model, **loading},
    )
    if share.engine == "ray":
        from shotstream.serving.fleet.ray_replicas import ray_launcher

        launch = ray_launcher(settings, cpus=share.cpus, gpus=share.gpus)
    else:
        launch = process_launcher(settings, share.replicas)
    return make_router(
        launch,
        port,
        replicas=share.replicas,
        seats=share.seats,
        replica_token=token,
        token=entrance.token,
        names=entrance.names,
    )


def _writer(endpoint: str | None, name: str | None) -> ChatModel | None:
    """The chat model that is asked for, with the key of the environment."""
    if endpoint is None and name is None:
        return None
    if endpoint is None or name is None:
        raise InputError("--endpoint and --writer belong together: say where the chat model is, and its name there")
    from shotstream.media.script_writer import KEY_ENV, chat_model

    return chat_model(endpoint, name, os.environ.get(KEY_ENV) or None)


def _entrance(host: str, port: int, token_file: Path | None, names: list[str]) -> Entrance:
    from shotstream.serving.access import TOKEN_ENV, given_token, new_token
    from shotstream.serving.security import Names, is_loopback

    local = is_loopback(host)
    token = given_token(token_file, os.environ.get(TOKEN_ENV))
    answers_to = Names.of_loopback(port) if local else Names()
    if names:
        answers_to |= Names.of(tuple(names), port)
    others = [name for name in names if not is_loopback(HOST_PORT.sub("", name).strip("[]"))]
    if others and token is None and local:
        raise InputError(
            f"--allow-host {others[0]}: a studio that others reach, through a proxy for example, needs a token; "
            "--token-file"
        )
    made = token is None and not local
    return Entrance(token=new_token() if made else token, made=made, local=local, names=answers_to)


def replica() -> None:
    """One replica of a studio with --replicas, which starts it; not for direct use."""
    from pydantic import ValidationError

    from shotstream.serving.fleet.processes import ReplicaSettings, serve_replica

    try:
        settings = ReplicaSettings.model_validate_json(sys.stdin.readline())
    except ValidationError as fault:
        raise InputError("this is started by `shotstream studio --replicas N`, not by hand") from fault

    def load() -> Director:
        from shotstream.api import load as load_director

        return load_director(**settings.loading)

    serve_replica(settings, load)
