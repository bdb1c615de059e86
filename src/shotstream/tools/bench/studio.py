"""Time from pressing Shoot to the first visible frame, and blocks in time, in a real browser (Playwright).

The studio is a process of its own, the browser another; both share the machine with the model.
"""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any
from urllib.error import URLError
from urllib.request import urlopen

from shotstream.core.errors import InputError
from shotstream.tools.bench.figures import Spread, StudioFigures
from shotstream.tools.bench.films import spread
from shotstream.tools.bench.setups import GLOBAL_CAPTION, captions

if TYPE_CHECKING:
    from playwright.sync_api import Page

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync"]
COMMAND = "from shotstream.cli.main import run; run()"
PATIENCE = 300.0  # seconds for anything to come about
POLL = 20  # milliseconds
TYPING, REACHING = 40, 300  # milliseconds per key, and from the last key to Shoot
IDLE = "document.getElementById('stop').disabled && document.getElementById('queue').childElementCount === 0"
FIRST = "document.documentElement.dataset.firstFrame"


def studio_figures(
    model: str, device: str, dtype: str, steps: int | None, samples: int, beside: int = 0
) -> StudioFigures:
    """Write and shoot ``samples`` shots, one after the other, while ``beside`` other processes keep a core busy each.

    With none beside it, a film of five shots is directed first. Raises :class:`InputError` if there is no browser,
    ModuleNotFoundError without Playwright.
    """
    from playwright.sync_api import Error, sync_playwright

    path = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    with sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        except Error as fault:
            raise InputError(
                "--studio drives Chromium, and there is none it can start; install chromium (apt-get install chromium)"
            ) from fault
        with _served(model, device, dtype, steps) as url, _busy(beside):
            page = browser.new_page()
            page.goto(url)
            try:
                five = None if beside else _five_shots(page)
                firsts = spread(_shoot(page, samples))
                presented = _presented(page)
                with urlopen(f"{url}metrics", timeout=PATIENCE) as answer:
                    kept = _cadence(answer.read().decode())
            finally:
                browser.close()
    return StudioFigures(
        beside=beside,
        shots=samples,
        shoot_to_first_frame=firsts,
        presented_fps=presented,
        five_shots_seconds=five,
        **kept,
    )


@contextmanager
def _busy(count: int) -> Iterator[None]:
    """Meanwhile ``count`` processes keep a core busy each."""
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for one in busy:
            one.kill()
            one.wait()


def _cadence(page: str) -> dict[str, Any]:
    """What the studio counted, from the text of its ``/metrics``."""
    from prometheus_client.parser import text_string_to_metric_families

    samples = [sample for family in text_string_to_metric_families(page) for sample in family.samples]
    value = {sample.name.removeprefix("shotstream_"): sample.value for sample in samples}
    bounds = [
        (float(sample.labels["le"]), sample.value)
        for sample in samples
        if sample.name == "shotstream_block_interval_seconds_bucket"
    ]
    gap = Spread(p50=_quantile(bounds, 0.5), p95=_quantile(bounds, 0.95)) if bounds and bounds[-1][1] else None
    return {
        "block_interval": gap,
        "blocks_due": int(value["deadlines_total"]),
        "blocks_late": int(value["deadlines_missed_total"]),
        "stood_seconds": value["underrun_seconds_total"],
    }


def _quantile(bounds: list[tuple[float, float]], share: float) -> float:
    """The value below which so large a ``share`` lies, of a histogram's (bound, how many are below it): evenly spread
    within each bucket."""
    wanted = share * bounds[-1][1]
    low = before = 0.0
    for bound, below in bounds:
        if below >= wanted:
            inside = (wanted - before) / (below - before) if below > before else 1.0
            return low if bound == float("inf") else low + inside * (bound - low)
        low, before = bound, below
    return low


def _five_shots(page: Page) -> float:
    """Seconds from the empty page to a film of five shots, typed one while the one before plays."""
    began = monotonic()
    page.get_by_label("Who, where, and how it looks").press_sequentially(GLOBAL_CAPTION, delay=TYPING)
    for caption in captions(5):
        page.get_by_label("What happens next?").press_sequentially(caption, delay=TYPING)
        page.keyboard.press("Control+Enter")
        _wait(page, "document.getElementById('prompt').value === ''")
    _wait(page, "document.querySelectorAll('.strip .see img').length === 5")
    _wait(page, IDLE)
    return monotonic() - began


@contextmanager
def _served(model: str, device: str, dtype: str, steps: int | None) -> Iterator[str]:
    """The studio's address, while it is there and ready."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}/"
    options = ["--port", str(port), "--model", model, "--device", device, "--dtype", dtype, "--no-open"]
    options += [] if steps is None else ["--steps", str(steps)]
    with TemporaryDirectory(prefix="shotstream-bench-") as films:
        command = [sys.executable, "-c", COMMAND, "studio", *options, "--films", films]
        studio = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        try:
            _wait_until_ready(studio, url)
            yield url
        finally:
            studio.terminate()
            studio.communicate()


def _wait_until_ready(studio: subprocess.Popen[str], url: str) -> None:
    end = monotonic() + PATIENCE
    while monotonic() < end:
        if studio.poll() is not None:
            raise InputError(f"the studio does not start: {studio.communicate()[1].strip().splitlines()[-1]}")
        try:
            with urlopen(f"{url}readyz", timeout=5):
                return
        except (URLError, OSError):
            sleep(0.1)
    raise InputError(f"the studio is not ready after {PATIENCE:.0f} seconds; try a smaller model")


def _shoot(page: Page, samples: int) -> list[float]:
    """Write and shoot shot after shot, each when the one before has been shown; the first, which has no past, is not
    counted."""
    story = page.get_by_label("Who, where, and how it looks")
    if story.is_visible():
        story.fill(GLOBAL_CAPTION)
    seconds = []
    for index, caption in enumerate(captions(samples + 1)):
        page.evaluate("delete document.documentElement.dataset.firstFrame")
        page.get_by_label("What happens next?").press_sequentially(caption, delay=TYPING)
        page.wait_for_timeout(REACHING)
        page.keyboard.press("Control+Enter")
        _wait(page, f"{FIRST} !== undefined")
        if index:
            seconds.append(int(page.evaluate(FIRST)) / 1000)
        _wait(page, IDLE)
    return seconds


def _presented(page: Page) -> float | None:
    """What the page's own meter says while somebody types the next prompt and two shots play."""
    prompt = page.get_by_label("What happens next?")
    for caption in captions(2):
        prompt.fill(caption)
        page.keyboard.press("Control+Enter")
        _wait(page, "document.getElementById('prompt').value === ''")
    page.evaluate("delete document.documentElement.dataset.firstFrame")
    prompt.press_sequentially(" ".join(captions(3)), delay=TYPING)
    said = page.inner_text("#meter-shown")
    found = re.match(r"[\d.]+", said)
    return float(found[0]) if found else None


def _wait(page: Page, expression: str) -> None:
    """Until ``expression`` holds: asked from outside, as the page's policy forbids to evaluate text in it."""
    end = monotonic() + PATIENCE
    while not page.evaluate(expression):
        if monotonic() > end:
            raise InputError(f"the page does not go on: it says {page.inner_text('#said')!r}")
        page.wait_for_timeout(POLL)
