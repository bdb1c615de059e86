"""Who gets JPEG and who gets MP4: by size, by distance, and by what the viewer can show."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import httpx
import numpy as np
import pytest
from studio_rig import Painter, client_of, until
from websockets.sync.client import connect

from shotstream.core.geometry import Geometry
from shotstream.families.family import preset
from shotstream.media.h264 import VideoFormat, mime_type
from shotstream.serving.broadcaster import Broadcaster, LiveBlock, Outbox
from shotstream.serving.frames import USUAL, PictureRule, unpack

BOTH = ("jpeg", "mp4")
HERE, ELSEWHERE = "127.0.0.1", "192.0.2.7"
LARGE = Geometry(width=512, height=288, spatial=8, latent_channels=4, default_blocks=2)


def test_size_distance_and_what_can_be_shown_decide() -> None:
    rule = PictureRule(near=1000, far=500)
    for width, height, plays, near, kind in (
        (50, 20, BOTH, True, "mp4"),
        (48, 20, BOTH, True, "jpeg"),
        (48, 20, BOTH, False, "mp4"),
        (20, 20, BOTH, False, "jpeg"),
        (50, 20, ("jpeg",), True, "jpeg"),
        (51, 20, BOTH, True, "jpeg"),  # H.264 needs even sizes
    ):
        assert rule.kind(width, height, plays, near=near) == kind, (width, height, plays, near)


def test_the_packaged_model_stays_jpeg_on_its_own_machine() -> None:
    small, large = preset("storyworld").geometry, preset("wan-1.3b").geometry
    assert USUAL.kind(small.width, small.height, BOTH, near=True) == "jpeg"
    assert USUAL.kind(small.width, small.height, BOTH, near=False) == "mp4"
    assert USUAL.kind(large.width, large.height, BOTH, near=True) == "mp4"


@pytest.mark.parametrize(
    ("geometry", "host", "said", "kind"),
    [
        (Geometry(width=256, height=160, spatial=8, latent_channels=4), HERE, {"pictures": BOTH}, "jpeg"),
        (Geometry(width=256, height=160, spatial=8, latent_channels=4), ELSEWHERE, {"pictures": BOTH}, "mp4"),
        (LARGE, HERE, {"pictures": BOTH}, "mp4"),
        (LARGE, ELSEWHERE, {"pictures": ("jpeg",)}, "jpeg"),
        (LARGE, HERE, {}, "jpeg"),  # a client that does not know of kinds
    ],
)
def test_the_welcome_says_what_was_chosen(tmp_path: Path, geometry, host, said, kind) -> None:
    with client_of(lambda: Painter(geometry), tmp_path, host) as client:
        film = client.post("/api/films", json={"global_caption": "a fox"}).json()["id"]
        with client.websocket_connect("ws://127.0.0.1:7860/ws") as line:
            line.send_json({"type": "hello", "version": 1, "film": film, **said})
            chosen = json.loads(line.receive()["text"])["pictures"]
            shape = VideoFormat(width=geometry.width, height=geometry.height, fps=geometry.fps)
            assert chosen == {"kind": kind, "mime": mime_type(shape) if kind == "mp4" else None}


def test_behind_a_front_or_proxy_it_is_the_viewer_that_is_far(server_of) -> None:
    """The front of several replicas says where a viewer is as every proxy does."""
    geometry = Geometry(width=256, height=160, spatial=8, latent_channels=4)
    server = server_of(lambda: Painter(geometry))
    until(lambda: httpx.get(f"{server.url}readyz").status_code == 200)
    film = httpx.post(f"{server.url}api/films", json={"global_caption": "a fox"}).json()["id"]
    for host, kind in ((HERE, "jpeg"), (ELSEWHERE, "mp4")):
        url = server.url.replace("http", "ws")
        with connect(f"{url}ws", additional_headers={"x-forwarded-for": host}, proxy=None, close_timeout=1) as line:
            line.send(json.dumps({"type": "hello", "version": 1, "film": film, "pictures": BOTH}))
            assert json.loads(line.recv(60))["pictures"]["kind"] == kind


def test_a_block_is_a_piece_until_the_viewer_asks_for_jpeg(tmp_path: Path) -> None:
    with client_of(lambda: Painter(LARGE), tmp_path) as client:
        film = client.post("/api/films", json={"global_caption": "a fox"}).json()["id"]
        with client.websocket_connect("ws://127.0.0.1:7860/ws") as line:
            seen, heard = [], []

            def hear_one() -> None:
                message = line.receive()
                if message.get("bytes"):
                    seen.extend(unpack(message["bytes"]))
                else:
                    heard.append(json.loads(message["text"]))

            def hear(type: str) -> dict:
                known = len(heard)
                while len(heard) == known or heard[-1]["type"] != type:
                    hear_one()
                return heard[-1]

            line.send_json({"type": "hello", "version": 1, "film": film, "pictures": BOTH})
            mime = hear("welcome")["pictures"]["mime"]
            line.send_json({"type": "shoot", "ref": 1, "caption": "it walks"})
            while sum(one.frames for one in seen) < 21:
                hear_one()
            assert [(one.kind, one.frame, one.frames, one.live) for one in seen] == [
                ("mp4", 0, 9, True),
                ("mp4", 9, 12, True),
            ]
            for one in seen:  # what the browser was told is what comes
                assert mime.endswith(f'avc1.{one.data[one.data.index(b"avcC") + 5 :][:3].hex()}"')
            line.send_json({"type": "show", "ref": 2, "pictures": ["jpeg"]})
            assert hear("shown") == {"type": "shown", "ref": 2, "pictures": {"kind": "jpeg", "mime": None}}
            seen.clear()
            line.send_json({"type": "shoot", "ref": 3, "caption": "it sits"})
            while len(seen) < 21:
                hear_one()
            assert {one.kind for one in seen} == {"jpeg"} and [one.frame for one in seen] == list(range(21))


@pytest.mark.parametrize("pictures", [[], ["gif"], "mp4", [1], ["jpeg"] * 9])
def test_kinds_there_are_not_are_refused(client, film, pictures) -> None:
    with client.websocket_connect("ws://127.0.0.1:7860/ws") as line:
        line.send_json({"type": "hello", "version": 1, "film": film, "pictures": pictures})
        refused = json.loads(line.receive()["text"])
        assert refused["code"] == "malformed" and "pictures" in refused["text"]


def test_viewers_share_what_is_encoded_and_nobody_is_sent_the_other_kind() -> None:
    async def watched() -> None:
        broadcaster = Broadcaster(lambda: 0.0)
        broadcaster.start(asyncio.get_running_loop())
        boxes = [Outbox("mp4"), Outbox("mp4"), Outbox("jpeg")]
        for box in boxes:
            broadcaster.join("film", box)
        block = LiveBlock(take=0, shot=0, first=0, frames=np.zeros((9, 32, 64, 3), np.uint8), fps=16, due=0)
        broadcaster.show("film", block)
        messages = [await box.get() for box in boxes]
        kinds = [[one.kind for one in (await message.finished()).pictures] for message in messages]
        assert kinds == [["mp4"], ["mp4"], ["jpeg"] * 9]
        assert messages[0].encoded is messages[1].encoded and all(box.empty() for box in boxes)
        for box in boxes:
            broadcaster.leave("film", box)
        assert broadcaster.show("film", block) == 0  # nobody watches: nothing is encoded
        broadcaster.stop()

    asyncio.run(watched())
