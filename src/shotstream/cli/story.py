"""``shotstream story``: look at a story before making it."""

from __future__ import annotations

from typing import Annotated

import typer

from shotstream.cli import options
from shotstream.cli.console import put, put_json, say

app = typer.Typer(help="Look at a story before making it.", rich_markup_mode=None)


@app.command()
def check(
    story: Annotated[str, typer.Argument(help=options.STORY_HELP, metavar="STORY")],
    model: options.Model = "storyworld",
    as_json: options.Json = False,
) -> None:
    """Say how long every shot will be, which words the model does not know, and which cuts may not read as cuts."""
    from shotstream.api import load
    from shotstream.media.story_check import check_story
    from shotstream.media.story_file import read_story

    script = read_story(story, say)
    director = load(model, device="cpu")
    found = check_story(script, director.geometry, director.unknown_words)
    if as_json:
        put_json(found.model_dump(mode="json"))
        return
    for shot in found.shots:
        put(f"shot {shot.index}: {shot.frames} frames, {shot.seconds:.2f} s  {shot.caption}")
    put(f"film: {found.frames} frames, {found.seconds:.2f} s")
    for warning in found.warnings:
        put(f"warning: {warning}")


@app.command()
def schema() -> None:
    """Print the JSON Schema of a story, for editors."""
    from shotstream.core.story_schema import shipped_schema

    put(shipped_schema().rstrip())
