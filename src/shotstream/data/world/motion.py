"""Poses, and positions of camera and characters, as functions of time in seconds.

Every movement is a rate per second, never 'across the shot'. Movements are calm: an outline that crosses much of itself
within one latent frame (a quarter of a second) cannot be coded well, and everything the model draws passes through the
codec. Close-ups magnify, so bodies move less in them.

Puppet units: a character is 1.0 high without ears, its feet at y = 0, y grows downwards, it faces +x.
World units (see ``spec``): x = 0 is the centre of the place, a wide shot shows y from 0 to 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace

from shotstream.data.world.spec import GROUND, Action, Direction, Role, WorldShot, WorldStory

SPEEDS: dict[Action, float] = {"walk": 0.10, "run": 0.17}  # world units per second
TURNS = 0.4  # of a spin per second
NARROWEST = 0.55  # share of a spinning character's width that is always left: less is a sliver without a face
CLOSE_UP_VIGOUR = 0.6  # share of a movement's amplitude that is left in a close-up


@dataclass(frozen=True, kw_only=True, slots=True)
class Pose:
    """Angles in degrees, lengths in puppet units. ``near``/``far`` limbs: towards and away from +x.

    ``turn``: share of the full width, negative while the back is seen.
    """

    lift: float = 0.0
    sway: float = 0.0
    tilt: float = 0.0
    stretch: float = 1.0
    turn: float = 1.0
    head_tilt: float = 0.0
    head_sway: float = 0.0
    head_shift: float = 0.0
    near_arm: float = 0.0
    far_arm: float = 0.0
    near_leg: float = 0.0
    far_leg: float = 0.0
    tail: float = 0.0
    eyes_open: bool = True
    asleep: bool = False
    joyful: bool = False


def _blinking(time: float, phase: float) -> bool:
    return (time + 1.9 + phase) % 2.7 < 0.16


def _stand(time: float) -> Pose:
    breath = math.sin(2 * math.pi * 0.45 * time)
    return Pose(
        stretch=1.0 + 0.012 * breath,
        head_sway=0.010 * math.sin(2 * math.pi * 0.22 * time),
        head_shift=-0.008 * breath,
        near_arm=3 * breath,
        far_arm=-3 * breath,
        tail=7 * math.sin(2 * math.pi * 0.5 * time),
    )


def _stride(time: float, rate: float, swing: float, hop: float, lean: float) -> Pose:
    step = math.sin(2 * math.pi * rate * time)
    bounce = abs(math.cos(2 * math.pi * rate * time))
    return Pose(
        lift=hop * bounce,
        tilt=lean,
        head_tilt=-0.5 * lean,
        head_sway=0.018 * step,
        head_shift=-0.02 * bounce,
        near_arm=swing * step,
        far_arm=-swing * step,
        near_leg=-swing * step,
        far_leg=swing * step,
        tail=12 * step,
        joyful=lean > 10,
    )


def _jump(time: float) -> Pose:
    phase = (time / 1.4 + 0.1) % 1.0
    crouch, flight = 0.26, 0.74
    if phase < crouch:
        return Pose(stretch=1.0 - 0.17 * math.sin(math.pi * phase / crouch), near_arm=-25, far_arm=25, joyful=True)
    air = (phase - crouch) / flight
    height = 4 * air * (1 - air)
    return Pose(
        lift=0.25 * height,
        stretch=1.0 + 0.07 * height,
        near_arm=-30 - 70 * height,
        far_arm=30 + 70 * height,
        near_leg=-24 * height,
        far_leg=24 * height,
        tail=-25 * height,
        joyful=True,
    )


def _wave(time: float) -> Pose:
    beat = math.sin(2 * math.pi * 1.0 * time)
    pose = _stand(time)
    return replace(pose, near_arm=-132 + 24 * beat, head_sway=-0.02 + 0.008 * beat, tail=9 * beat, joyful=True)


def _dance(time: float) -> Pose:
    beat = math.sin(2 * math.pi * 0.5 * time)
    return Pose(
        lift=0.04 * abs(math.sin(2 * math.pi * 1.0 * time)),
        sway=0.06 * beat,
        tilt=8 * beat,
        head_tilt=-6 * beat,
        near_arm=-75 - 42 * beat,
        far_arm=75 - 42 * beat,
        near_leg=-14 * max(0.0, beat),
        far_leg=14 * max(0.0, -beat),
        tail=16 * beat,
        joyful=True,
    )


def _spin(time: float) -> Pose:
    turn = math.cos(2 * math.pi * TURNS * time)
    return Pose(
        turn=math.copysign(max(abs(turn), NARROWEST), turn),
        lift=0.03 * abs(math.sin(2 * math.pi * 2 * TURNS * time)),
        near_arm=-80,
        far_arm=80,
        near_leg=8,
        far_leg=-8,
        joyful=True,
    )


def _sleep(time: float) -> Pose:
    breath = math.sin(2 * math.pi * 0.35 * time)
    return Pose(asleep=True, eyes_open=False, stretch=1.0 + 0.035 * breath, head_shift=0.012 * breath, tail=3 * breath)


def blended(before: Pose, after: Pose, share: float) -> Pose:
    """``before`` with ``share`` (0..1) of it replaced by ``after``; who lies down or turns over does so at once."""
    if before.asleep or after.asleep or before.turn * after.turn < 0:
        return after
    mixed = {
        field.name: getattr(before, field.name) + share * (getattr(after, field.name) - getattr(before, field.name))
        for field in fields(Pose)
        if isinstance(getattr(after, field.name), float)
    }
    return replace(after, **mixed)


def pose_at(action: Action, time: float, phase: float = 0.0, vigour: float = 1.0) -> Pose:
    """The pose ``time`` seconds into a shot. ``phase`` (seconds) keeps two characters out of step; ``vigour`` in
    (0, 1] scales how far the body travels."""
    clock = time + phase
    if action == "walk":
        pose = _stride(clock, rate=1.0, swing=36, hop=0.05, lean=4)
    elif action == "run":
        pose = _stride(clock, rate=1.5, swing=48, hop=0.08, lean=13)
    else:
        still = {"stand": _stand, "jump": _jump, "wave": _wave, "dance": _dance, "spin": _spin, "sleep": _sleep}
        pose = still[action](clock)
    if pose.asleep:
        return pose
    return replace(
        pose,
        lift=vigour * pose.lift,
        sway=vigour * pose.sway,
        tilt=vigour * pose.tilt,
        head_tilt=vigour * pose.head_tilt,
        eyes_open=not _blinking(time, 1.3 * phase),
    )


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
