from __future__ import annotations

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from shotstream.core.words import words_of
from shotstream.data.world.captions import GLOBAL_WORDS, caption_story, unknown_words
from shotstream.data.world.phrases import (
    ACCESSORY_NOUNS,
    COLOUR_WORDS,
    KIND_NOUNS,
    SITES,
)
from shotstream.data.world.spec import LANDMARKS, PATTERNS, WorldStory
from shotstream.data.world.stories import make_story
from shotstream.data.world.truth import stated_attributes
from shotstream.data.world.wording import voice_of

SEEDS = st.integers(0, 2**63 - 1)
STORIES = st.builds(make_story, SEEDS, split=st.sampled_from(("train", "held-out")))


def _texts(story: WorldStory) -> list[str]:
    return [story.global_caption, *(shot.caption for shot in story.shots)]


def _mentions(text: str, phrases: tuple[str, ...]) -> bool:
    return any(re.search(rf"\b{re.escape(one)}\b", text.lower()) for one in phrases)


@settings(max_examples=200, deadline=None)
@given(STORIES)
def test_every_word_is_in_the_vocabulary(story: WorldStory) -> None:
    for text in _texts(story):
        assert unknown_words(text) == []


@settings(max_examples=200, deadline=None)
@given(STORIES)
def test_captions_are_tidy_english(story: WorldStory) -> None:
    for text in _texts(story):
        assert text == text.strip() and "  " not in text
        assert not re.search(r"[{}]|[ ][.,:]|[.,:]{2}|,\.", text)
        assert not re.search(r"\b[Aa] [aeiou]", text), text
        assert not re.search(r"\b[Aa]n [^aeiou]", text), text
        assert not re.search(r"\b(\w+) \1\b", text) or " around and around" in text, text
        tags = text[0].islower()
        assert tags or text[-1] == "."
        assert tags or not any(part[0].islower() for part in re.split(r"(?<=\.) ", text)), text


@settings(max_examples=100, deadline=None)
@given(STORIES)
def test_what_captions_never_name_stays_unnamed(story: WorldStory) -> None:
    words = " ".join(_texts(story)).lower()
    assert not {*LANDMARKS, *PATTERNS, "boat", "tree"} & {word.strip(".,:") for word in words.split()}
    named = {one.kind for character in story.characters for one in character.accessories if one.stated}
    for character in story.characters:
        for accessory in character.accessories:
            if accessory.kind not in named:
                assert not _mentions(words, ACCESSORY_NOUNS[accessory.kind])


@settings(max_examples=100, deadline=None)
@given(STORIES)
def test_what_is_noted_as_stated_is_in_the_words(story: WorldStory) -> None:
    captions = caption_story(story)
    for index, shot in enumerate(story.shots):
        text = f"{story.global_caption} {shot.caption}"
        stated = stated_attributes(story, index)
        for person, role in zip(("focus", "other"), shot.roles, strict=False):
            character = story.characters[role.character]
            if stated[f"{person}.kind"]:
                assert _mentions(text, KIND_NOUNS[character.kind])
            if stated[f"{person}.colour"]:
                assert _mentions(text, COLOUR_WORDS[character.colour])
            for accessory in character.accessories:
                if stated[f"{person}.{accessory.kind}"]:
                    assert _mentions(text, ACCESSORY_NOUNS[accessory.kind])
            if stated[f"{person}.direction"]:
                assert _mentions(shot.caption, (role.direction,))
        site_nouns = tuple(site.noun for site in SITES[story.places[shot.place].kind])
        assert _mentions(shot.caption, site_nouns) == (captions.shots[index].told.place is not None), text
        assert not shot.pan or _mentions(shot.caption, (shot.pan,))


def test_a_colour_is_not_said_when_it_is_not_noted() -> None:
    for seed in range(300):
        story = make_story(seed)
        if len(story.characters) > 1:
            continue
        (fox,) = story.characters
        for index, shot in enumerate(story.shots):
            if not stated_attributes(story, index)["focus.colour"]:
                assert not _mentions(f"{story.global_caption} {shot.caption}", COLOUR_WORDS[fox.colour])


def test_a_quarter_of_the_stories_needs_memory() -> None:
    stories = [make_story(seed) for seed in range(400)]
    forgetful = [story for story in stories if voice_of(story).memory != "none"]
    assert 0.17 < len(forgetful) / len(stories) < 0.33
    for story in forgetful:
        later = [index for index in range(1, len(story.shots)) if not _introduces(story, index)]
        assert not any(stated_attributes(story, index)["focus.colour"] for index in later)
        assert stated_attributes(story, 0)["focus.colour"]


def _introduces(story: WorldStory, index: int) -> bool:
    earlier = {role.character for shot in story.shots[:index] for role in shot.roles}
    return any(role.character not in earlier for role in story.shots[index].roles)


def test_captions_are_short_and_varied() -> None:
    stories = [make_story(seed) for seed in range(400)]
    totals = sorted(
        len(words_of(f"{story.global_caption} {shot.caption}")) for story in stories for shot in story.shots
    )
    assert max(len(words_of(story.global_caption)) for story in stories) <= GLOBAL_WORDS + 6
    assert totals[len(totals) // 2] <= 32 and totals[int(0.97 * len(totals))] <= 48
    openings = {tuple(words_of(shot.caption)[:2]) for story in stories for shot in story.shots}
    assert len(openings) > 150


def test_the_handbooks_examples_use_known_words() -> None:
    for text in (
        "A red fox with a blue hat lives in a snowy forest at night.",
        "A red fox with a blue hat in a snowy forest at night.",
        "Wide shot. The fox walks to the left.",
        "Wide shot. The fox walks left.",
        "Cut to a close-up of the fox. It waves.",
        "close-up, fox waving",
    ):
        assert unknown_words(text) == []


def test_unknown_words_are_named_once_in_order() -> None:
    assert unknown_words("A zebra waves in the Zeppelin; the zebra spins.") == ["zebra", "zeppelin"]
