"""What presets say beyond sizes: how a prompt is put together, and what guidance leads away from."""

from __future__ import annotations

import hashlib

import pytest
from pydantic import ValidationError

from shotstream.families.family import family_of, known_presets, preset
from shotstream.families.preset import Preset
from shotstream.families.storyworld import STORYWORLD
from shotstream.families.wan import WAN_1_3B


def test_wan_reads_the_prompts_its_reference_was_trained_on() -> None:
    """Its data set reads `global_captions[0][0] + 'shot{i}:' + caption`, i from 0, nothing in between."""
    assert WAN_1_3B.prompt("A fox.", "It runs.", 0) == "A fox.shot0:It runs."
    assert WAN_1_3B.prompt("A fox.", "It {shot} sits.", 3) == "A fox.shot3:It {shot} sits."
    assert STORYWORLD.prompt("A fox.", "It runs.", 3) == "A fox. It runs."


def test_only_wan_is_guided_away_from_words() -> None:
    assert STORYWORLD.negative_prompt is None
    assert WAN_1_3B.negative_prompt is not None
    published = hashlib.sha256(WAN_1_3B.negative_prompt.encode()).hexdigest()
    assert published.startswith("ce96e0324e4b54ce")  # of the text in the reference's YAML files


@pytest.mark.parametrize("form", ["{caption}", "{global_caption}", "{global_caption} {caption} {seed}", "{", "{0}"])
def test_a_prompt_form_that_loses_or_asks_for_something_is_refused(form: str) -> None:
    with pytest.raises(ValidationError, match="prompt_form"):
        Preset.model_validate(STORYWORLD.model_dump() | {"prompt_form": form})


@pytest.mark.parametrize("one", known_presets().values(), ids=known_presets())
def test_a_preset_survives_its_file(one: Preset) -> None:
    assert Preset.model_validate_json(one.model_dump_json()) == one


def test_presets_beside_older_weights_are_read() -> None:
    given = STORYWORLD.model_dump(mode="json")
    given["student"]["listed"] = given["student"].pop("timesteps")
    assert Preset.model_validate(given) == STORYWORLD


def test_self_forcings_students_are_another_model_of_wans_family() -> None:
    """As published: steps at 1000, 750, 500 and 250 of a schedule shifted by 5, and prompts of one caption."""
    family = family_of("self-forcing-1.3b")
    assert family is not None and family.name == "wan"
    one = preset("self-forcing-1.3b")
    assert one.transformer == WAN_1_3B.transformer and one.geometry == WAN_1_3B.geometry
    assert (one.student.timesteps, one.schedule.shift) == ((1000, 750, 500, 250), 5.0)
    assert one.prompt("A fox.", "It runs.", 1) == "A fox. It runs."
