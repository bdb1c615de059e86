"""The truth of a story as plain data for a JSON file: its spec, cuts, attributes and boxes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from shotstream.data.world.spec import WORLD_VERSION, FrameTruth, WorldStory
from shotstream.data.world.splits import Split
from shotstream.data.world.truth import asked_attributes, stated_attributes, unstated_details

DIGITS = 4  # of fractions of the picture: a tenth of a pixel at a thousand pixels


def truth_of(
    story: WorldStory, split: Split, ranges: Sequence[tuple[int, int]], seen: Sequence[Sequence[FrameTruth]]
) -> dict[str, object]:
    """Everything that is true of a rendered story.

    ``ranges``: [first, last) frames of each shot in the video. ``seen``: the frame truths of each shot.
    Cuts are the first frames of all shots but the first. Labels are those of :mod:`truth`.
    """
    shots = []
    for index, (frames, truths) in enumerate(zip(ranges, seen, strict=True)):
        shots.append(
            {
                "first_frame": frames[0],
                "asked": asked_attributes(story, index),
                "stated": stated_attributes(story, index),
                "unstated": unstated_details(story, index),
                "identities": [role.character for role in story.shots[index].roles],
                "frames": [_frame(truth) for truth in truths],
            }
        )
    return {
        "world_version": WORLD_VERSION,
        "split": split,
        "story": asdict(story),
        "frame_ranges": [list(frames) for frames in ranges],
        "cuts": [first for first, _ in ranges[1:]],
        "shots": shots,
    }


def _frame(truth: FrameTruth) -> dict[str, object]:
    return {
        "camera_x": round(truth.camera_x, DIGITS),
        "camera_zoom": round(truth.camera_zoom, DIGITS),
        "boxes": [[round(edge, DIGITS) for edge in one.box] for one in truth.characters],
        "visible": [round(one.visible, DIGITS) for one in truth.characters],
    }
