"""The simulation against what is known of queues: one film alone, the work offered, and Pollaczek and Khinchine."""

from __future__ import annotations

import json

import pytest

from shotstream.cli.main import main
from shotstream.core.geometry import Geometry
from shotstream.tools.capacity import Viewing, Work, most_films, offered, simulate

GEOMETRY = Geometry(width=64, height=32, spatial=8, latent_channels=4)


def test_one_film_alone_never_waits() -> None:
    work, viewing = Work(first_block=0.4, block=0.3), Viewing(pause=5)
    load = simulate(1, work, viewing, GEOMETRY)
    assert load.first_p50 == load.first_p99 == pytest.approx(0.4)
    assert load.stalls == 0 and load.good
    assert load.busy == pytest.approx(offered(work, viewing, GEOMETRY), rel=0.1)


def test_a_replica_slower_than_the_film_stands_still_just_so_much() -> None:
    """Blocks of 0.75 s of film that take 1 s: a shot of three lasts 2 s longer than it shows, but for the lead."""
    load = simulate(1, Work(first_block=1, block=1), Viewing(pause=0), GEOMETRY)
    shown, made = GEOMETRY.shot_seconds(3), 3.0
    assert load.stalls == pytest.approx((2 - 2 * 0.75 + 0.1875) / (made + 0.0625), abs=0.06) and not load.good
    assert load.film_seconds / 3240 == pytest.approx(shown / made, rel=0.2)


def test_what_is_offered_is_done_until_there_is_too_much() -> None:
    work, viewing = Work(first_block=0.2, block=0.2, spread=0.2), Viewing(pause=20)
    share = offered(work, viewing, GEOMETRY)
    for films in (5, 15):
        busy = simulate(films, work, viewing, GEOMETRY, seconds=20_000).busy
        assert busy == pytest.approx(films * share, rel=0.05)
    assert simulate(int(3 / share), work, viewing, GEOMETRY).busy == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("load", [0.3, 0.6, 0.8])
def test_many_films_of_one_block_are_an_m_d_1_queue(load: float) -> None:
    """Mean wait: rho / (2 (1 - rho)) services. The median is below the mean; the mean comes from the busy share."""
    service, films = 0.1, 400
    viewing = Viewing(pause=films * service / load - GEOMETRY.shot_seconds(1), blocks=1)
    found = simulate(films, Work(first_block=service, block=service), viewing, GEOMETRY, seconds=40_000)
    wait = service * load / (2 * (1 - load))
    assert found.busy == pytest.approx(load, rel=0.03)
    assert found.first_mean - service == pytest.approx(wait, rel=0.12)


def test_the_most_films_are_good_and_one_more_is_not() -> None:
    work, viewing = Work(first_block=0.15, block=0.1, spread=0.1), Viewing(pause=10)
    best = most_films(work, viewing, GEOMETRY, seconds=1200)
    assert best is not None and best.good
    assert not simulate(best.films + 1, work, viewing, GEOMETRY, seconds=1200).good
    assert most_films(Work(first_block=3, block=3), viewing, GEOMETRY, seconds=600) is None


def test_the_command(capsys) -> None:
    given = ["--fps", "48", "--first", "0.3", "--seconds", "600", "--viewers", "1000"]
    assert main(["scale", *given, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["replicas"]["1000"] == -(-1000 // found["films_per_replica"]["films"])
    assert main(["scale", *given]) == 0
    assert "1,000 viewers at once" in capsys.readouterr().out
    assert main(["scale"]) == main(["scale", "nothing.json"]) == main(["scale", "--fps", "3"]) == 2
