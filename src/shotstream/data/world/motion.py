"""Poses as functions of time in seconds: every movement is a rate per second, never 'across the shot'.

Movements are calm: an outline that crosses much of itself within one latent frame (a quarter of a second) cannot be
coded well, and everything the model draws passes through the codec. Close-ups magnify, so bodies move less in them.

Puppet units: a character is 1.0 high without ears, its feet at y = 0, y grows downwards, it faces +x.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace

from shotstream.data.world.spec import Action

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
