"""In which order planned takes can be made."""

from __future__ import annotations

from itertools import accumulate

from shotstream.film.record import FilmRecord


def in_turn(record: FilmRecord) -> list[int]:
    """Ids of the planned takes, as they were asked for, but that no shot comes before an earlier one that is not made:
    it has to remember it."""
    awaited = [-1 if shot.choice is not None or not shot.planned else shot.planned[0].id for shot in record.shots]
    latest = [-1, *accumulate(awaited, max)]  # of all takes that have to be made before a shot
    planned = [
        (max(take.id, latest[index]), index, take.id)
        for index, shot in enumerate(record.shots)
        for take in shot.planned
    ]
    return [id for _, _, id in sorted(planned)]
