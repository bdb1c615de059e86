"""Large pictures in Chromium: pieces of MP4 through Media Source Extensions, and JPEG where that is not to be had."""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from page_rig import begin, idle, opened, shoot, state_of, wait
from studio_rig import Painter, Server

from shotstream.core.geometry import Geometry
from shotstream.media.h264 import VideoFormat, following, mime_type, segment

LARGE = Geometry(width=832, height=480, spatial=8, latent_channels=4, default_blocks=2)
STRIPES, CLOSE = 16, 12  # a frame's stripe stands at one of so many places; levels of 255 that codecs may differ by
SHOTS = ("it walks", "it sits")
# Every frame that is presented: its place in the film, and the colour in the middle of every stripe.
WATCH = """() => {
  const video = document.getElementById('video'), seen = window.seen = [];
  const small = new OffscreenCanvas(64, 4).getContext('2d', {willReadFrequently: true});
  window.stripes = (source) => {
    small.drawImage(source, 0, 0, 64, 4);
    const data = small.getImageData(0, 2, 64, 1).data;
    return Array.from({length: 16}, (_, index) => [...data.slice(4 * (4 * index + 2), 4 * (4 * index + 2) + 3)]);
  };
  const look = (now, {mediaTime}) => {
    video.requestVideoFrameCallback(look);
    const frame = new VideoFrame(video);
    const passed = frame.timestamp / 1e6 - mediaTime; // a slow page finds the next one there already
    const place = Number(document.getElementById('scrub').value);
    if (passed < 0.01) seen.push({time: mediaTime, place, stripes: stripes(frame)});
    frame.close();
  };
  video.requestVideoFrameCallback(look);
}"""
CANVAS = "stripes(document.getElementById('canvas'))"
ON_CANVAS = "!document.getElementById('canvas').classList.contains('behind')"


class StripePainter(Painter):
    """Large frames, each with a stripe at a place of its own, remembered by caption."""

    def __init__(self) -> None:
        super().__init__(LARGE)
        self.stripes: dict[str, list[np.ndarray]] = {}
        self.hold = threading.Event()  # all but a shot's first block wait for it
        self.hold.set()

    def painted(self, prompt: str, first: int, frames: np.ndarray) -> np.ndarray:
        if first:
            assert self.hold.wait(300)
        wide = LARGE.width // STRIPES
        for index, frame in enumerate(frames):
            at = (first + index) % STRIPES * wide
            frame[:, at : at + wide] = 255 - frame[:, at : at + wide]
            caption = next(one for one in SHOTS if one in prompt)
            self.stripes.setdefault(caption, []).append(frame[LARGE.height // 2, wide // 2 :: wide])
        return frames

    @property
    def film(self) -> np.ndarray:
        """All frames in order: [T, stripes, 3]."""
        return np.stack([frame for caption in SHOTS for frame in self.stripes.get(caption, [])])


@pytest.fixture
def painter() -> StripePainter:
    return StripePainter()


@pytest.fixture
def large(server_of: Callable[..., Server], painter: StripePainter) -> Server:
    return server_of(lambda: painter)


@pytest.fixture
def large_page(browser, large: Server, script: str) -> Iterator[object]:
    with opened(browser, large.url, script=script, model="painter") as page:
        page.evaluate(WATCH)
        yield page


def far_off(seen: list[list[list[int]]], truth: np.ndarray) -> int:
    return int(np.abs(np.array(seen) - truth.astype(int)).max())


@pytest.mark.parametrize("script", [""])
def test_a_large_film_plays_as_video(large_page, large: Server, painter: StripePainter) -> None:
    page = large_page
    begin(page, SHOTS[0])
    shoot(page, SHOTS[1])
    idle(page, 2)
    wait(page, "Number(document.getElementById('scrub').value) === 41")  # the last frame, some time later
    seen = page.evaluate("seen")
    assert page.evaluate("document.getElementById('video').currentTime") > 1 and len(seen) > 20
    assert [one["time"] for one in seen] == sorted(one["time"] for one in seen)
    assert {one["place"] // 21 for one in seen} == {0, 1}  # both shots
    for one in seen:
        assert far_off(one["stripes"], painter.film[one["place"]]) <= CLOSE, one["place"]
    assert (
        page.evaluate(
            "[...document.querySelectorAll('.screen [aria-label=\"The film\"]')].filter("
            "one => !one.ariaHidden && getComputedStyle(one).visibility === 'visible').length"
        )
        == 1
    )
    page.get_by_role("button", name="Shot 1: it walks").click()  # what is made comes as JPEG, as ever
    wait(page, ON_CANVAS)
    assert far_off(page.evaluate(CANVAS), painter.film[0]) <= CLOSE


@pytest.mark.parametrize("script", [""])
def test_the_running_shot_is_scrubbed_paused_and_followed_again(large_page, large: Server, painter) -> None:
    page = large_page
    painter.hold.clear()
    begin(page, SHOTS[0])
    wait(page, "seen.length > 0")
    page.get_by_label("Position in the film").fill("5")
    wait(page, "seen.at(-1).place === 5 && Math.abs(seen.at(-1).time - 5 / 16) < 0.01")
    assert far_off(page.evaluate("seen.at(-1).stripes"), painter.film[5]) <= CLOSE
    assert page.evaluate("document.getElementById('video').paused")
    page.get_by_role("button", name="Live").click()
    painter.hold.set()
    idle(page, 1)
    wait(page, "Number(document.getElementById('scrub').value) === 20")
    wait(page, "seen.at(-1).place === 20")
    assert far_off(page.evaluate("seen.at(-1).stripes"), painter.film[20]) <= CLOSE


@pytest.mark.parametrize(
    "script",
    [
        "delete window.MediaSource",
        "MediaSource.isTypeSupported = () => false",
        "SourceBuffer.prototype.appendBuffer = () => { throw new Error('full'); }",
    ],
    ids=["no-mse", "no-codec", "errs"],
)
def test_without_media_source_pictures_come_as_jpeg(large_page, large: Server, painter: StripePainter) -> None:
    page = large_page
    begin(page, SHOTS[0])
    idle(page, 1)
    shoot(page, SHOTS[1])  # what the browser cannot do is known by now
    idle(page, 2)
    wait(page, "Number(document.getElementById('scrub').value) === 41")
    assert page.evaluate("document.getElementById('video').hidden") and page.evaluate(ON_CANVAS)
    wait(page, f"({CANVAS}).flat().some(one => one > 0)")
    assert far_off(page.evaluate(CANVAS), painter.film[41]) <= CLOSE
    assert len(state_of(page, large)["shots"]) == 2


REEL = """async ([mime, pieces]) => {
  const {Reel} = await import('/reel.js');
  const video = document.createElement('video');
  video.muted = true;
  document.body.append(video);
  const reel = new Reel(video);
  const until = async (true_) => { while (!true_()) await new Promise((done) => setTimeout(done, 20)); };
  const put = async (index) => {
    const data = Uint8Array.from(atob(pieces[index]), (one) => one.charCodeAt(0)).buffer;
    reel.put({take: 1, frame: 12 * index, frames: 12, data});
    await until(() => reel.waiting.length === 0 && reel.buffer && !reel.buffer.updating);
  };
  reel.kept = 2;
  reel.begin(mime, 16);
  await put(0);
  await put(2);  // 1 was late and was left out
  await until(() => reel.at()?.frame >= 24);
  const skipped = reel.at().frame;
  video.pause();  // a tab that was put aside
  for (const index of [3, 4, 5, 6, 7, 8]) await put(index);
  await until(() => reel.at()?.frame >= 96);
  await put(9);
  await until(() => !reel.rolling);
  const [begin, kept] = [video.buffered.start(0), reel.pieces[0].frame];
  return {skipped, last: reel.at().frame, begin, kept, error: video.error};
}"""


@pytest.mark.parametrize("script", [""])
def test_the_reel_goes_on_behind_a_gap_at_the_live_edge_and_forgets(large_page) -> None:
    shape = VideoFormat(width=96, height=64, fps=16)
    pieces = [np.full((12, 64, 96, 3), 20 * index, np.uint8) for index in range(10)]
    data = [base64.b64encode(segment(one, shape).data).decode() for one in pieces]
    found = large_page.evaluate(REEL, [mime_type(shape), data])
    assert 24 <= found["skipped"] < 36 and found["last"] == 119 and found["error"] is None
    assert found["begin"] > 1 and found["kept"] >= 24


STREAM = """async ([mime, pieces]) => {
  const [source, video] = [new MediaSource(), document.createElement('video')];
  video.src = URL.createObjectURL(source);
  await new Promise((done) => source.addEventListener('sourceopen', done, {once: true}));
  const buffer = source.addSourceBuffer(mime);
  for (const piece of pieces) {
    const done = new Promise((done) => buffer.addEventListener('updateend', done, {once: true}));
    buffer.appendBuffer(Uint8Array.from(atob(piece), (one) => one.charCodeAt(0)));
    await done;
  }
  return {ranges: video.buffered.length, end: video.buffered.end(0), error: video.error};
}"""


@pytest.mark.parametrize("script", [""])
def test_a_browser_takes_the_chunks_of_a_realtime_session_one_after_the_other(large_page) -> None:
    shape = VideoFormat(width=96, height=64, fps=16)
    pieces = [segment(np.full((12, 64, 96, 3), 80 * index, np.uint8), shape).data for index in range(3)]
    chunks = [following(piece, index, 12 * index, 16) for index, piece in enumerate(pieces)]
    data = [base64.b64encode(chunk).decode() for chunk in chunks]
    found = large_page.evaluate(STREAM, [mime_type(shape), data])
    assert found == {"ranges": 1, "end": pytest.approx(36 / 16, abs=0.01), "error": None}
