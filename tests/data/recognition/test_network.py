"""Persons are cut out where their boxes are, and a mirrored moment is one whose answers are mirrored too."""

from __future__ import annotations

import numpy as np
import torch

from shotstream.core.geometry import Geometry
from shotstream.data.recognition.moments import Moments, draw_story
from shotstream.data.recognition.network import PERSON, PICTURE, Recogniser, RecogniserConfig, cropped
from shotstream.training.stages.recognisers import box_loss, mirrored, shaken

CONFIG = RecogniserConfig(
    width=64, height=40, crop=16, channels=(8, 8, 16), depths=(0, 1, 1), person_channels=(8, 8, 16), embedding=8,
    picture_features=8,
)  # fmt: skip
GEOMETRY = Geometry(width=64, height=32, spatial=16, latent_channels=4)


def moments(stories: int = 6) -> Moments:
    parts = [draw_story(n, seed=3, split="train", geometry=GEOMETRY, config=CONFIG) for n in range(stories)]
    return Moments(**{name: np.concatenate([part[name] for part in parts]) for name in parts[0]})


def test_a_crop_is_the_square_around_its_box() -> None:
    rows, columns = torch.meshgrid(torch.arange(40.0), torch.arange(64.0), indexing="ij")
    pixels = torch.stack([columns, rows])[None]  # every pixel says where it is
    box = torch.tensor([[[20 / 64, 12 / 40, 36 / 64, 20 / 40]]])  # 16 wide, 8 high, its middle at (28, 16)
    crop = cropped(pixels, box, 10)[0, 0]
    side = 1.25 * 16
    expected = 28 - 0.5 + side * ((torch.arange(10) + 0.5) / 10 - 0.5)  # pixel k covers k to k + 1
    torch.testing.assert_close(crop[0], expected.expand(10, 10))
    torch.testing.assert_close(crop[1], (expected - 12)[:, None].expand(10, 10))


def test_a_moment_mirrored_twice_is_itself() -> None:
    drawn = moments()
    which = np.arange(len(drawn)) % 2 == 0
    once = mirrored(drawn, which)
    twice = mirrored(once, which)
    for name in Moments.__slots__:
        np.testing.assert_allclose(getattr(twice, name), getattr(drawn, name), atol=1e-6)
        np.testing.assert_array_equal(getattr(once, name)[~which], getattr(drawn, name)[~which])


def test_mirroring_exchanges_left_and_right_and_nothing_else() -> None:
    drawn = moments()
    turned = mirrored(drawn, np.ones(len(drawn), bool))
    np.testing.assert_array_equal(turned.frames, drawn.frames[:, :, :, ::-1])
    facing = list(PERSON).index("direction")
    alone = drawn.character[:, 1] < 0
    assert alone.any() and (~alone).any()
    np.testing.assert_array_equal(turned.person[alone, 0, facing], 1 - drawn.person[alone, 0, facing])
    np.testing.assert_array_equal(turned.person[~alone, 0, facing], 1 - drawn.person[~alone, 1, facing])
    kind = list(PERSON).index("kind")
    np.testing.assert_array_equal(turned.person[alone, 0, kind], drawn.person[alone, 0, kind])
    third = turned.picture[:, list(PICTURE).index("landmark third")]
    before = drawn.picture[:, list(PICTURE).index("landmark third")]
    np.testing.assert_array_equal(third, 2 - before)  # left, middle, right
    np.testing.assert_allclose(turned.boxes[alone, 0, 0], 1 - drawn.boxes[alone, 0, 2], atol=1e-6)


def test_a_box_read_exactly_costs_nothing_and_one_beside_it_its_distance() -> None:
    boxes = torch.tensor([[[0.2, 0.3, 0.6, 0.5], [0.0, 0.0, 0.0, 0.0]]])
    assert box_loss(boxes, boxes) == 0
    torch.testing.assert_close(box_loss(boxes + 0.04, boxes), torch.tensor(0.1))
    still = shaken(boxes, torch.Generator().manual_seed(0))
    assert not still[0, 1].any() and 0 < (still[0, 0] - boxes[0, 0]).abs().max() < 0.3


def test_a_person_who_is_not_there_costs_no_look() -> None:
    torch.manual_seed(0)
    network = Recogniser(CONFIG)
    pictures = torch.randint(0, 256, (2, 3, 40, 64, 3), dtype=torch.uint8)
    boxes = torch.tensor([[[0.1, 0.1, 0.5, 0.9], [0.0] * 4], [[0.4, 0.2, 0.9, 0.8], [0.5, 0.5, 0.9, 0.9]]])
    readings = network(pictures, boxes)
    one = network(pictures[:1], boxes[:1, :1].expand(-1, 2, -1))
    torch.testing.assert_close(readings.person[0][0, 0], one.person[0][0, 0], rtol=1e-4, atol=1e-5)
    assert network(pictures).boxes.shape == (2, 2, 4)
