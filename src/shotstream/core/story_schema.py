"""The JSON Schema of a story, for editors: ``story.schema.json`` beside this file."""

from __future__ import annotations

import json
from importlib.resources import files

from shotstream.core.story import Story

SCHEMA_FILE = "story.schema.json"


def make_schema() -> str:
    """The schema as JSON text, made from :class:`Story`; the shipped file holds exactly this."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **Story.model_json_schema()}
    return json.dumps(schema, indent=2) + "\n"


def shipped_schema() -> str:
    """The schema file that ships with the package."""
    return files("shotstream.core").joinpath(SCHEMA_FILE).read_text(encoding="utf-8")
