"""The Dockerfile, as far as it can be checked without Docker: its rules of thumb, and that what it names is there."""

from __future__ import annotations

import json
import re
import shlex
import tomllib

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
    assert re.fullmatch(r"[\w./]+:[\w.-]+@sha256:[0-9a-f]{64}", said["FROM"]) and ":latest" not in said["FROM"]
    assert said["USER"] != "root" and names.index("USER") < names.index("ENTRYPOINT")
    for name, rest in instructions():
        if name == "RUN" and "pip install" in rest:
            assert "--constraint constraints.txt" in rest
        assert "TOKEN" not in rest.upper() or name in ("CMD",)


def test_what_the_image_installs_is_pinned_by_hash() -> None:
    """All that the studio needs, in the versions of constraints.txt; only the build backend's may be others."""
    lines = [line for line in (ROOT / "image-requirements.txt").read_text().splitlines() if not line.startswith("#")]
    pinned = {}
    for line in lines:
        found = re.fullmatch(r"([a-z0-9-]+)==([\w.]+)(?:\+cpu)? --hash=sha256:[0-9a-f]{64}", line)
        assert found, line
        pinned[found[1]] = found[2]
    constraints = dict(re.findall(r"^([\w.-]+)==(\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE))
    versions = {name.lower().replace("_", "-").replace(".", "-"): version for name, version in constraints.items()}
    building = {"hatchling", "packaging", "pathspec", "pluggy", "trove-classifiers"}
    assert {name: version for name, version in pinned.items() if versions.get(name) != version}.keys() <= building
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for need in (*project["dependencies"], *project["optional-dependencies"]["studio"]):
        assert re.match(r"[\w-]+", need)[0] in pinned


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
