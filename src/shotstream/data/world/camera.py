"""Positions of camera and characters as functions of time in seconds.

World units (see ``spec``): x = 0 is the centre of the place, a wide shot shows y from 0 to 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from shotstream.data.world.motion import SPEEDS
from shotstream.data.world.spec import GROUND, Direction, Role, WorldShot, WorldStory

PUPPET_HEIGHT = 0.50  # world units per puppet unit
SIDE = 0.38  # world units between the middle and each of two characters
NEARER = 0.75  # share of SIDE that is left where the camera moves: both stay in its picture
PAN_ZOOM, MEDIUM_ZOOM, CLOSE_ZOOM = 1.0, 1.4, 2.3
PAN_RATE = 0.10  # picture widths per second
PAN_START = 0.15  # picture widths before the centre of the place
ZOOM_RATE = 0.09  # e-folds per second
MAX_ZOOM = 1.4
FLOOR = 0.93  # where the ground line stands in a medium shot, share of its height
SLOWER = 0.82  # of the pace of somebody who shares the picture: nobody is run through or lost
LONGEST = 5.1  # seconds; a walk across a wide picture is centred for shots of this length
SCENERY_MARGIN = 1.15  # scenery beyond the wide picture's edges, world units


@dataclass(frozen=True, slots=True)
class Camera:
    """Centre of the picture in world units, and zoom (1 shows one unit of height)."""

    x: float
    y: float
    zoom: float


def sign(direction: Direction) -> float:
    return 1.0 if direction == "right" else -1.0


def _home(story: WorldStory, shot: WorldShot, role: Role, aspect: float) -> float:
    """The x at which a character of this story belongs: first left, second right, one alone near the middle."""
    if len(story.characters) == 1:
        # Beside a landmark in the middle, not before it.
        return -0.16 if story.places[shot.place].landmark_third == "middle" else 0.0
    home = {0: -SIDE, 1: SIDE}.get(role.character, 0.0) * min(1.0, aspect / 1.6)
    return NEARER * home if shot.framing in ("pan", "zoom") else home


def _pace(shot: WorldShot, role: Role) -> float:
    """World units per second, to the right; 0 for who stays."""
    if role.action not in SPEEDS:
        return 0.0
    speed = SPEEDS[role.action] * (SLOWER if len(shot.roles) > 1 else 1.0)
    # Against the camera's travel the two speeds add up: slow down, or it is gone at once.
    against = shot.framing == "pan" and shot.pan != role.direction
    return sign(role.direction) * speed * (0.25 if against else 1.0)


def _start(story: WorldStory, shot: WorldShot, role: Role, aspect: float) -> float:
    """World x of a role when its shot begins: who will cross the picture begins on the side it comes from."""
    home = _home(story, shot, role, aspect)
    if role.action not in SPEEDS or shot.framing in ("medium", "close-up"):
        return home
    room, way = min(1.0, aspect / 1.6), sign(role.direction)
    if shot.framing == "pan":
        return home - way * (0.05 if shot.pan == role.direction else 0.15) * room
    path = abs(_pace(shot, role)) * LONGEST * room
    alone = len(shot.roles) == 1
    if alone or all(other.action in SPEEDS for other in shot.roles):
        return 0.7 * home - way * 0.5 * path
    # Beside somebody who stays, in its own half: towards the other from the edge, away from it from the middle.
    inwards = way * home < 0
    return home - way * 0.5 * path if inwards else 0.3 * home


def place_of(story: WorldStory, shot: WorldShot, role: Role, time: float, aspect: float) -> float:
    """World x of a role of ``shot`` at a time; from a change of the shot on it moves as it then does."""
    x = _start(story, shot, role, aspect)
    if shot.change is None or time < shot.change.seconds:
        return x + _pace(shot, role) * time
    later = next(one for one in shot.change.roles if one.character == role.character)
    return x + _pace(shot, role) * shot.change.seconds + _pace(shot, later) * (time - shot.change.seconds)


def _framed_x(story: WorldStory, shot: WorldShot, time: float, aspect: float) -> float:
    return sum(place_of(story, shot, role, time, aspect) for role in shot.roles) / len(shot.roles)


def _medium(shot: WorldShot, x: float) -> Camera:
    zoom = 0.86 * MEDIUM_ZOOM if "jump" in shot.actions else MEDIUM_ZOOM
    return Camera(x, GROUND - (FLOOR - 0.5) / zoom, zoom)


def _closeup(shot: WorldShot, x: float) -> Camera:
    role = shot.roles[0]
    height, zoom = 0.74, CLOSE_ZOOM
    if role.action == "sleep":
        height = 0.42
        x += 0.16 * PUPPET_HEIGHT * sign(role.direction)
    elif "jump" in shot.actions:
        height, zoom = 0.86, 0.9 * CLOSE_ZOOM
    return Camera(x, GROUND - height * PUPPET_HEIGHT, zoom)


def camera_at(story: WorldStory, shot: WorldShot, time: float, aspect: float) -> Camera:
    """The camera ``time`` seconds into a shot; ``aspect`` is width over height of the picture."""
    if shot.framing == "wide":
        return Camera(0.0, 0.5, 1.0)
    if shot.framing == "medium":
        return _medium(shot, _framed_x(story, shot, time, aspect))
    if shot.framing == "close-up":
        return _closeup(shot, place_of(story, shot, shot.roles[0], time, aspect))
    if shot.framing == "pan":
        width = aspect / PAN_ZOOM
        travel = (PAN_RATE * time - PAN_START) * width
        return Camera(sign(shot.pan or "right") * travel, 0.5, PAN_ZOOM)
    rate, most = ZOOM_RATE * time, math.log(0.86 * MAX_ZOOM if "jump" in shot.actions else MAX_ZOOM)
    zoom = math.exp(min(max(rate if shot.zoom == "in" else most - rate, 0.0), most))
    # Scaling about the cast: what stands still does not slide, the picture only grows.
    fixed_x, fixed_y = _framed_x(story, shot, time, aspect), 0.66
    return Camera(fixed_x * (1 - 1 / zoom), fixed_y + (0.5 - fixed_y) / zoom, zoom)
