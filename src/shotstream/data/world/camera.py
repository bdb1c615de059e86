"""Where the camera stands and where the cast stands, as functions of time in seconds.

World units (see ``spec``): x = 0 is the centre of the place, a wide shot shows y from 0 to 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from shotstream.data.world.motion import SPEEDS
from shotstream.data.world.spec import GROUND, Direction, Role, WorldShot, WorldStory

PUPPET_HEIGHT = 0.37  # world units per puppet unit
SIDE = 0.27
PAN_ZOOM, MEDIUM_ZOOM, CLOSE_ZOOM = 1.12, 1.6, 3.0
PAN_RATE = 0.10  # picture widths per second
PAN_START = 0.22  # picture widths before the centre of the place
ZOOM_RATE = 0.11  # e-folds per second
MAX_ZOOM = 1.85
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
    return {0: -SIDE, 1: SIDE}.get(role.character, 0.0) * min(1.0, aspect / 1.6)


def place_of(story: WorldStory, shot: WorldShot, role: Role, time: float, aspect: float) -> float:
    """World x of a role at a time."""
    home = _home(story, shot, role, aspect)
    room = min(1.0, aspect / 1.6)
    if shot.framing == "pan":
        home *= 0.65
    if role.action not in SPEEDS:
        return home
    speed, way = SPEEDS[role.action], sign(role.direction)
    if shot.framing in ("medium", "close-up"):
        return home + way * speed * time
    if shot.framing == "pan":
        # Against the camera's travel the two speeds add up: slow down, or it is gone at once.
        along = shot.pan == role.direction
        start = 0.75 * home - way * (0.05 if along else 0.20) * room
        return start + way * speed * (1.0 if along else 0.25) * time
    start = home * 0.7 - way * (0.26 if role.action == "walk" else 0.48) * room
    return start + way * speed * time


def _framed_x(story: WorldStory, shot: WorldShot, time: float, aspect: float) -> float:
    return sum(place_of(story, shot, role, time, aspect) for role in shot.roles) / len(shot.roles)


def _closeup(shot: WorldShot, x: float) -> Camera:
    role = shot.roles[0]
    height, zoom = 0.70, CLOSE_ZOOM
    if role.action == "sleep":
        height = 0.42
        x += 0.16 * PUPPET_HEIGHT * sign(role.direction)
    if role.action == "jump":
        height, zoom = 0.78, 0.9 * CLOSE_ZOOM
    return Camera(x, GROUND - height * PUPPET_HEIGHT, zoom)


def camera_at(story: WorldStory, shot: WorldShot, time: float, aspect: float) -> Camera:
    """The camera ``time`` seconds into a shot; ``aspect`` is width over height of the picture."""
    if shot.framing == "wide":
        return Camera(0.0, 0.5, 1.0)
    if shot.framing == "medium":
        return Camera(_framed_x(story, shot, time, aspect), 0.555, MEDIUM_ZOOM)
    if shot.framing == "close-up":
        return _closeup(shot, place_of(story, shot, shot.roles[0], time, aspect))
    if shot.framing == "pan":
        width = aspect / PAN_ZOOM
        travel = (PAN_RATE * time - PAN_START) * width
        return Camera(sign(shot.pan or "right") * travel, 0.525, PAN_ZOOM)
    rate = ZOOM_RATE * time
    log_zoom = rate if shot.zoom == "in" else math.log(MAX_ZOOM) - rate
    zoom = math.exp(min(max(log_zoom, 0.0), math.log(MAX_ZOOM)))
    # Scaling about the cast: what stands still does not slide, the picture only grows.
    fixed_x, fixed_y = _framed_x(story, shot, time, aspect), 0.64
    return Camera(fixed_x * (1 - 1 / zoom), fixed_y + (0.5 - fixed_y) / zoom, zoom)
