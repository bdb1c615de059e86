"""``shotstream story``: check a story before making it, have one written, list known words, print the JSON Schema."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from shotstream.cli import options
from shotstream.cli.console import put, put_json, say

app = typer.Typer(help="Check stories, list the words a model knows, or have a story written.", rich_markup_mode=None)


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
    found = check_story(script, director)
    if as_json:
        put_json(found.model_dump(mode="json"))
        return
    for shot in found.shots:
        put(f"shot {shot.index}: {shot.frames} frames, {shot.seconds:.2f} s  {shot.caption}")
    put(f"film: {found.frames} frames, {found.seconds:.2f} s")
    for warning in found.warnings:
        put(f"warning: {warning}")


@app.command()
def words(model: options.Model = "storyworld", as_json: options.Json = False) -> None:
    """List what a model can be asked for: characters, colours, places, actions, framings."""
    from shotstream.api import load
    from shotstream.core.words import words_of
    from shotstream.data.world.captions import what_can_be_asked_for

    known = load(model, device="cpu").known_words()
    groups: dict[str, list[list[str]]] = {}
    for kind, things in what_can_be_asked_for().items() if known else ():
        wordings = [[text for text in thing if known.issuperset(words_of(text))] for thing in things]
        groups[kind] = [thing for thing in wordings if thing]
    if as_json:
        put_json({"model": model, "any": not known, "groups": groups, "words": sorted(known)})
        return
    if not known:
        put(f"{model} reads any word")
    for kind, listed in groups.items():
        if listed:
            put(f"{kind}: {'; '.join(', '.join(thing) for thing in listed)}")
    if known:
        say(
            f"{len(known)} words in all (--json lists them); others are left out of a prompt, and told before rendering"
        )


@app.command()
def clip(
    footage: Annotated[Path, typer.Argument(help="A clip of your own.", metavar="CLIP")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The story to write.", metavar="STORY.yaml")],
    global_caption: Annotated[
        str, typer.Option("--prompt", help="Global caption.", metavar="TEXT")
    ] = "This is a film.",
    force: Annotated[bool, typer.Option("--force", help="Replace the story if it exists.")] = False,
) -> None:
    """Find the cuts of a clip of your own, and write a story with its shots: say what they show, and go on from there.

    Later shots are conditioned on yours as on any other.
    """
    import os

    import yaml

    from shotstream.core.files import ready_to_write, write_text
    from shotstream.families.storyworld import STORYWORLD
    from shotstream.film.disk.own_material import find_shots

    ready_to_write(output, force=force)
    found = find_shots(footage, STORYWORLD.geometry)
    file = os.path.relpath(footage, output.parent)
    shots = [
        {"caption": f"Shot {number} of {footage.name}.", "clip": {"file": file, "start": start, "stop": stop}}
        for number, (start, stop) in enumerate(found)
    ]
    story = {"global_caption": global_caption, "shots": shots}
    write_text(output, yaml.safe_dump(story, sort_keys=False, allow_unicode=True))
    put(str(output))
    say(f"{len(found)} {'shot' if len(found) == 1 else 'shots'}; write what each shows in the place of its caption")


@app.command()
def write(
    idea: Annotated[str, typer.Argument(help="What the film is about.", metavar="IDEA")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The story to write.", metavar="STORY.yaml")],
    endpoint: Annotated[str, typer.Option(help="OpenAI-compatible endpoint of a chat model.", metavar="URL")],
    writer: Annotated[str, typer.Option(help="The chat model's name there.", metavar="NAME")],
    shots: Annotated[int, typer.Option(min=1, max=50, help="About how many shots.")] = 6,
    model: options.Model = "storyworld",
    force: Annotated[bool, typer.Option("--force", help="Replace the story if it exists.")] = False,
) -> None:
    """Let a chat model write a story from an idea, in words that the film's model knows.

    The idea is sent to the endpoint, and the key in SHOTSTREAM_WRITER_KEY, if there is one.
    """
    import os

    from shotstream.api import load
    from shotstream.core.files import ready_to_write
    from shotstream.media.exports.script import write_story_file
    from shotstream.media.script_writer import KEY_ENV, write_story
    from shotstream.media.story_check import check_story

    ready_to_write(output, force=force)
    director, key = load(model, device="cpu"), os.environ.get(KEY_ENV) or None
    story = write_story(idea, endpoint, writer, shots=shots, words=director.known_words(), key=key, tell=say)
    write_story_file(story, output)
    put(str(output))
    for warning in check_story(story, director).warnings:
        say(f"warning: {warning}")


@app.command()
def schema() -> None:
    """Print the JSON Schema of a story, for editors."""
    from shotstream.core.story import shipped_schema

    put(shipped_schema().rstrip())
