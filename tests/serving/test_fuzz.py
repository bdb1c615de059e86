"""What the studio offers, called with what nobody means: the HTTP API by schemathesis, the socket by hostile text.

A refusal has a name, nothing is a server error, and a film can be made afterwards.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance
from studio_rig import Painter, Server, until
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from shotstream.serving import connection
from shotstream.serving.client import StudioClient
from shotstream.serving.protocol import MAX_MESSAGE, Refused, parse
from shotstream.serving.security import Guard

CHECKS = (not_a_server_error, content_type_conformance, response_schema_conformance)
ENDLESS = "/api/films/{id}/stream"  # of a real film, it never ends


@pytest.fixture
def server(server_of: Callable[..., Server], monkeypatch: pytest.MonkeyPatch) -> Server:
    """A studio in which nobody is too fast."""
    monkeypatch.setattr(Guard, "_refusal", lambda self, scope, headers: self.names.refusal(headers))
    return server_of(Painter)


@pytest.fixture
def studio(server: Server) -> Iterator[StudioClient]:
    with StudioClient(server.url) as client:
        client.ready()
        yield client


def attack(studio: StudioClient, examples: int) -> Iterator[tuple[str, Counter[str]]]:
    """Call every operation ``examples`` times, most of them on a film there is; yields how often it answered what.

    Each has a film of its own: one that all had written to would be long to export.
    """
    schema = schemathesis.openapi.from_url(f"{studio.url}/api/openapi.json")
    for found in schema.get_all_operations():
        operation = found.ok()
        target = studio.begin("a fox")
        target.shoot("it walks", seconds=0.6)
        (take,) = target.wait().shots[0].takes
        yield operation.label, attack_operation(operation, {"id": target.id, "shot": 0, "take": take.id}, examples)
    alive(studio)


def attack_operation(operation: schemathesis.APIOperation, real: dict[str, Any], examples: int) -> Counter[str]:
    """``real``: what a path may name that there is: a film, its shot, its take."""
    places = [] if operation.path == ENDLESS else [name for name in real if f"{{{name}}}" in operation.path]
    answered: Counter[str] = Counter()

    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(), known=st.integers(0, len(places)))
    def call(case: schemathesis.Case, known: int) -> None:
        case.path_parameters.update({name: real[name] for name in places[:known]})
        answer = case.call_and_validate(checks=CHECKS, timeout=300)
        answered[str(answer.status_code)] += 1

    call()
    return answered


def alive(studio: StudioClient) -> None:
    """A film is made as ever."""
    film = studio.begin("a fox")
    film.shoot("it sits", seconds=0.6)
    assert film.wait(60).shots[0].chosen is not None


def test_the_api_refuses_by_name(studio: StudioClient) -> None:
    answered = sum((found for _, found in attack(studio, 2)), Counter[str]())
    assert answered["200"] and answered["422"] and sum(answered.values()) > 30


@pytest.mark.soak
def test_the_api_refuses_by_name_at_length(studio: StudioClient, capsys) -> None:
    for operation, answered in attack(studio, 500):
        with capsys.disabled():
            print(f"\n{operation}:", ", ".join(f"{number} x {status}" for status, number in sorted(answered.items())))


WORDS = ("type", "shoot", "cut", "hello", "caption", "ref", "shot", "seconds", "undo", "branch", "name", "film")
VALUES = (None, True, -1, 1e308, 10**400, 2**63, "", "\x00", "\ud800", "x" * 2001, [], {}, [[[]]], "0" * 12, 0.5)


def hostile(dice: random.Random) -> str | bytes:
    """One message nobody means; one that by chance is a command would be carried out."""
    while isinstance(message := drawn(dice), str) and not isinstance(parse(message), Refused):
        pass
    return message


def drawn(dice: random.Random) -> str | bytes:
    match dice.randrange(8):
        case 0:
            return dice.randbytes(dice.randrange(200))
        case 1:
            return dice.randbytes(dice.randrange(200)).decode("latin-1")
        case 2:
            return dice.choice("[{") * dice.randrange(5000)
        case 3:
            return json.dumps("x" * dice.choice((MAX_MESSAGE - 2, MAX_MESSAGE, 3 * MAX_MESSAGE)))
        case 4:
            return '{"type": "shoot", "seconds": ' + dice.choice(("1e999", "NaN", "-Infinity", "1" * 4000, "0x1")) + "}"
        case 5:
            whole = json.dumps({"type": "shoot", "caption": "it walks", "ref": 1})
            return whole[: dice.randrange(len(whole))]
    fields = {dice.choice(WORDS): dice.choice((*VALUES, *WORDS)) for _ in range(dice.randrange(6))}
    return json.dumps({"type": dice.choice((*WORDS, "dance", 7)), **fields})


def flood(server: Server, film: str, messages: int, seed: int) -> Counter[str]:
    """Send so many hostile messages, on as many connections as the studio makes necessary."""
    dice, heard, sent = random.Random(seed), Counter[str](), 0
    while sent < messages:
        with connect(server.url.replace("http", "ws") + "ws", max_size=None, proxy=None) as line:
            line.send(json.dumps({"type": "hello", "version": 1, "film": film}))
            try:
                while sent < messages:
                    line.send(hostile(dice))
                    sent += 1
                while True:
                    answer = json.loads(line.recv(timeout=1))
                    heard[answer.get("code") or answer["type"]] += 1
            except (ConnectionClosed, TimeoutError):
                with suppress(ConnectionClosed):
                    for answer in line:
                        heard[json.loads(answer).get("code", "other")] += 1
    return heard


AT_ONCE = 32  # messages sent before their answers are read


def answers_to(server: Server, film: str, messages: int, seed: int) -> Counter[str]:
    """Send so many hostile messages on one connection that may be as fast as it likes; yields the refusals' names."""
    dice, heard = random.Random(seed), Counter[str]()
    with connect(server.url.replace("http", "ws") + "ws", max_size=None, proxy=None) as line:
        line.send(json.dumps({"type": "hello", "version": 1, "film": film}))
        while heard.total() < messages:
            for _ in range(AT_ONCE):
                line.send(hostile(dice))
            end = heard.total() + AT_ONCE
            while heard.total() < end:
                answer = json.loads(line.recv(timeout=60))
                heard.update([answer["code"]] if answer["type"] == "refused" else [])
    return heard


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """No message comes too fast, so that every one is read and judged."""
    monkeypatch.setattr(connection, "RATE", 1e12)


def test_a_flood_of_hostile_messages_changes_nothing(server: Server, studio: StudioClient) -> None:
    film = studio.begin("a fox")
    heard = flood(server, film.id, 600, seed=1)
    assert heard["malformed"] and heard["too_fast"]
    assert film.view().shots == ()
    alive(studio)


@pytest.mark.usefixtures("hurried")
def test_each_hostile_message_is_refused_by_name(server: Server, studio: StudioClient) -> None:
    film = studio.begin("a fox")
    heard = answers_to(server, film.id, 640, seed=1)
    assert heard.keys() == {"malformed", "too_large"}
    assert film.view().shots == ()
    alive(studio)


@pytest.mark.soak
@pytest.mark.usefixtures("hurried")
def test_a_hundred_thousand_hostile_messages(server: Server, studio: StudioClient, capsys) -> None:
    film, here = studio.begin("a fox"), psutil.Process()
    answers_to(server, film.id, 5000, seed=2)
    before = here.memory_info().rss
    heard = answers_to(server, film.id, 100_000, seed=3)
    grown = here.memory_info().rss - before
    until(lambda: httpx.get(f"{server.url}healthz").json()["viewers"] == 0)
    with capsys.disabled():
        print(f"\n{heard.total()} hostile messages: {dict(heard)}; memory grew by {grown / 1e6:.1f} MB")
    assert heard.keys() == {"malformed", "too_large"}
    assert grown < 50e6
    assert film.view().shots == ()
    alive(studio)


def test_no_importer_takes_what_is_no_film(studio: StudioClient, tmp_path: Path) -> None:
    """Real film files, damaged at one place each, are opened or refused in one line."""
    film = studio.begin("a fox")
    film.shoot("it walks", seconds=0.6)
    film.wait()
    whole = film.fetch(tmp_path / "fox.film").read_bytes()
    dice = random.Random(4)
    for _ in range(25):
        damaged = bytearray(whole)
        for _ in range(dice.randrange(1, 4)):
            damaged[dice.randrange(len(damaged))] ^= 1 << dice.randrange(8)
        del damaged[dice.choice((len(damaged), dice.randrange(len(damaged)))) :]
        answer = httpx.post(f"{studio.url}/api/open", content=bytes(damaged))
        assert answer.status_code in (201, 422), answer.text
        assert answer.status_code == 201 or "\n" not in answer.json()["text"]
    alive(studio)
