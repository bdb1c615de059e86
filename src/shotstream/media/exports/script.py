"""Export as a story, YAML or JSON, to make the film again or to go on writing."""

from __future__ import annotations

import json
from pathlib import Path

import yaml

from shotstream.core.files import write_text
from shotstream.core.story import Story
from shotstream.media.exports.format import Format
from shotstream.media.exports.timeline import Timeline


def write_script(timeline: Timeline, path: Path) -> None:
    """The story with the seeds of the takes in the film; YAML, or JSON if ``path`` says so.

    Raises :class:`StorageError`.
    """
    write_story_file(timeline.tags.story, path)


def write_story_file(story: Story, path: Path) -> None:
    """``story`` as YAML, or JSON if ``path`` says so. Raises :class:`StorageError`."""
    told = story.model_dump(exclude_none=True, mode="json")
    if path.suffix.lower() == ".json":
        write_text(path, json.dumps(told, indent=2, ensure_ascii=False) + "\n")
    else:
        write_text(path, yaml.safe_dump(told, allow_unicode=True, sort_keys=False, width=110))


FORMATS = (Format(name="story", suffixes=(".yaml", ".yml", ".json"), kind="application/yaml", write=write_script),)
