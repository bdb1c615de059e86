"""The wire's words: any text is a message or a named refusal; the state machine never does what it was not told."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
from hypothesis import given, settings
from hypothesis import strategies as st

from shotstream.serving import client_messages as messages
from shotstream.serving import protocol
from shotstream.serving.client_messages import Hello
from shotstream.serving.connection import BURST, MAX_STRIKES, Attach, Close, Do, State, advance
from shotstream.serving.protocol import Refused, parse

FILM = "0123456789ab"
COMMANDS = st.one_of(
    st.builds(messages.Shoot, caption=st.text(min_size=1, max_size=20), ref=st.integers(0, 99)),
    st.builds(messages.Cut),
    st.builds(messages.Extend, blocks=st.integers(1, 100)),
    st.builds(messages.Change, caption=st.just("x")),
    st.builds(messages.Retake, shot=st.integers(0, 9), seed=st.none() | st.integers(0, 9)),
    st.builds(messages.Choose, shot=st.integers(0, 9), take=st.integers(0, 9)),
    st.builds(messages.Remove, take=st.integers(0, 9)),
    st.builds(messages.Position, take=st.integers(0, 9), frame=st.integers(0, 9)),
    st.sampled_from([messages.Stop(), messages.Resume(), messages.Clear(), messages.Remake(shot=0)]),
    st.builds(messages.Insert, at=st.integers(0, 9), caption=st.just("x"), seconds=st.none() | st.just(2.0)),
    st.builds(messages.Move, shot=st.integers(0, 9), to=st.integers(0, 9)),
    st.builds(messages.Lock, shot=st.integers(0, 9), locked=st.booleans()),
    st.builds(messages.Branch, name=st.text(min_size=1, max_size=80), after=st.integers(-1, 9)),
    st.sampled_from(
        [messages.Delete(shot=0), messages.Duplicate(shot=1), messages.Switch(branch="a"), messages.Drop(branch="a")]
    ),
    st.sampled_from([messages.SetContextPolicy(policy="retrieval"), messages.SetContextPolicy()]),
    st.sampled_from([messages.RemakeStale(), messages.Undo(), messages.Redo(), messages.Pause()]),
)
KINDS = st.sampled_from([("jpeg",), ("jpeg", "mp4"), ("mp4",)])
HELLOS = st.builds(
    Hello, version=st.sampled_from([1, 1, 2]), film=st.just(FILM), ref=st.integers(0, 99), pictures=KINDS
)
SHOWS = st.builds(messages.Show, pictures=KINDS, ref=st.integers(0, 99))
REFUSALS = st.just(Refused(code="malformed", text="?"))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@settings(deadline=None)
@given(st.text() | JSON.map(json.dumps))
def test_whatever_comes_is_a_message_or_a_named_refusal(text: str) -> None:
    read = parse(text)
    if isinstance(read, Refused):
        assert read.code == "malformed" and "\n" not in read.text and len(read.text) <= 300


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(["type", "caption", "seconds", "seed", "shot", "ref"]), JSON, min_size=1))
def test_nearly_right_messages_too(fields: dict[str, object]) -> None:
    parse(json.dumps({"type": "shoot", **fields}))


def test_long_and_deep_messages_are_refused_by_name() -> None:
    assert parse('"' + "x" * protocol.MAX_MESSAGE + '"').code == "too_large"
    assert parse("[" * 10_000).code == "malformed"


@settings(deadline=None)
@given(COMMANDS | HELLOS | SHOWS)
def test_messages_survive_the_wire_and_fit_the_published_schema(message) -> None:
    text = message.model_dump_json()
    assert parse(text) == message
    jsonschema.validate(json.loads(text), SCHEMA["client"])


SCHEMA = protocol.schema()


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(COMMANDS | HELLOS | SHOWS | REFUSALS, st.floats(-1, 5)), max_size=30))
def test_any_sequence_of_messages(messages) -> None:
    state, now, attached = State(), 0.0, 0
    for message, step in messages:
        now += step
        before = state
        state, effects = advance(state, message, now)
        done = [effect for effect in effects if isinstance(effect, Do)]
        attached += sum(isinstance(effect, Attach) for effect in effects)
        assert not done or (before.phase == "attached" and done == [Do(message)])
        if any(isinstance(effect, Refused) for effect in effects) and state.phase != "closed":
            assert (state.phase, state.film) == (before.phase, before.film)
        if before.phase == "closed":
            assert state == before and [effect.code for effect in effects] == ["closed"]
        assert 0 <= state.tokens <= BURST
    assert attached <= 1


def code(effects) -> str:
    return next(effect.code for effect in effects if isinstance(effect, Refused))


def test_refusals_have_names() -> None:
    new = State()
    assert code(advance(new, messages.Cut(), 0)[1]) == "hello_first"
    closed, effects = advance(new, Hello(version=9, film=FILM), 0)
    assert code(effects) == "wrong_version" and Close(1002, "version") in effects
    assert code(advance(closed, messages.Cut(), 0)[1]) == "closed"
    here, _ = advance(new, Hello(version=1, film=FILM), 0)
    assert here.phase == "attached"
    assert code(advance(new, messages.Show(pictures=("mp4",)), 0)[1]) == "hello_first"
    again = messages.Show(pictures=("jpeg",))
    assert advance(here, again, 0)[1] == (again,)
    assert code(advance(here, Hello(version=1, film=FILM), 0)[1]) == "hello_twice"


def test_a_flood_is_slowed_and_then_ended() -> None:
    state, _ = advance(State(), Hello(version=1, film=FILM), 0)
    done = 0
    for _ in range(int(BURST) - 1 + MAX_STRIKES):
        state, effects = advance(state, messages.Cut(), 0)
        done += any(isinstance(effect, Do) for effect in effects)
    assert done == BURST - 1 and state.phase == "closed"
    assert Close(1008, "too fast") in effects


def test_the_document_names_every_message_and_refusal() -> None:
    page = (Path(__file__).parents[2] / "docs" / "protocol.md").read_text(encoding="utf-8")
    for side in ("client", "server"):
        for name in SCHEMA[side]["discriminator"]["mapping"]:
            assert f"`{name}`" in page, name
    for name in protocol.RefusalCode.__args__:
        assert f"`{name}`" in page, name


def test_a_message_that_is_wrong_is_refused_by_its_number() -> None:
    assert parse('{"type": "dance", "ref": 7}').ref == 7
    assert [parse(text).ref for text in ('{"ref": "x"}', '{"ref": -1}', "[]", "{", '{"type": "dance"}')] == [0] * 5
