"""The help page of every command, as one Markdown document. Run this file (``make map``) to write it."""

from __future__ import annotations

import os
from collections.abc import Iterator

import typer
from sources import ROOT

from shotstream.cli.main import app

PAGE = ROOT / "docs" / "commands.md"
HEAD = "# Commands\n\nWritten from the commands' own help by `make map`; a test compares the two.\n"


def commands() -> Iterator[tuple[str, ...]]:
    """The words of every command: ``("story", "check")``."""
    top = typer.main.get_command(app)
    waiting: list[tuple[tuple[str, ...], object]] = [((), top)]
    while waiting:
        words, command = waiting.pop(0)
        yield words
        inner = vars(command).get("commands", {})
        waiting += [((*words, name), found) for name, found in inner.items()]


def help_of(words: tuple[str, ...]) -> str:
    """What ``shotstream WORDS --help`` prints, 100 columns wide."""
    command = typer.main.get_command(app)
    context = command.make_context("shotstream", [], resilient_parsing=True, terminal_width=100, max_content_width=100)
    for word in words:
        command = vars(command)["commands"][word]
        context = type(context)(command, parent=context, info_name=word)
    return str(command.get_help(context))


def make_page() -> str:
    """The whole document."""
    parts = [
        f"\n## `{' '.join(('shotstream', *words))}`\n\n```text\n{help_of(words).rstrip()}\n```\n"
        for words in commands()
    ]
    return HEAD + "".join(parts)


if __name__ == "__main__":
    os.environ.pop("COLUMNS", None)
    PAGE.write_text(make_page(), encoding="utf-8")
