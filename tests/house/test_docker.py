"""The Dockerfile, as far as it can be checked without Docker: its rules of thumb, and that what it names is there."""

from __future__ import annotations

import json
import re
import shlex

import typer
from sources import ROOT

from shotstream.cli.main import app

INSTALLING = ("ARG", "COPY", "ENV", "FROM", "RUN", "USER", "WORKDIR")
RUNNING = ("CMD", "ENTRYPOINT", "EXPOSE", "HEALTHCHECK", "STOPSIGNAL", "VOLUME")


def instructions() -> list[tuple[str, str]]:
    """Every instruction and what it says, continued lines joined."""
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    lines = [line.strip() for line in text.replace("\\\n", " ").splitlines() if line.strip()]
    return [(line.split(None, 1)[0], line.split(None, 1)[1]) for line in lines]


def test_the_rules_of_thumb() -> None:
    names = [name for name, _ in instructions()]
    assert names[0] == "FROM" and set(names) <= {*INSTALLING, *RUNNING}
    said = dict(instructions())
    assert re.fullmatch(r"[\w./]+:[\w.-]+", said["FROM"]) and not said["FROM"].endswith(":latest")
    assert said["USER"] != "root" and names.index("USER") < names.index("ENTRYPOINT")
    for name, rest in instructions():
        if name == "RUN" and "pip install" in rest:
            assert "--constraint constraints.txt" in rest
        assert "TOKEN" not in rest.upper() or name in ("CMD",)


def test_what_is_copied_is_there_and_not_ignored() -> None:
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    for name, rest in instructions():
        if name == "COPY":
            *sources, _ = shlex.split(rest)
            for source in sources:
                assert (ROOT / source).exists() and source.removeprefix("./") in allowed


def test_the_command_is_one_of_ours() -> None:
    said = dict(instructions())
    words = json.loads(said["ENTRYPOINT"]) + json.loads(said["CMD"])
    assert words[0] == "shotstream"
    command = typer.main.get_command(app)
    context = command.make_context("shotstream", [], resilient_parsing=True)
    found = command.get_command(context, words[1])
    found.make_context(words[1], words[2:], parent=context)
