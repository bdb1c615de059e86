"""Pulling a model from a hub (one on this machine), in pieces if need be, and never more than is missing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest
from hub_server import Hub, serve
from wan_rig import TEXT, TINY_WAN, TRANSFORMER, VAE

import shotstream
from shotstream.checkpoints.convert import convert
from shotstream.checkpoints.memory_plan import plan_of
from shotstream.checkpoints.model_files import HubFile, fetch, find_model, is_pulled, missing_parts
from shotstream.checkpoints.pull import Part, parts_of, pull, pull_parts
from shotstream.core.errors import InputError, WeightsError
from shotstream.core.files import model_folder
from shotstream.families.wan import FAMILY

pytest.importorskip("huggingface_hub")
BIG = "big.safetensors"


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    folder = tmp_path / "hub" / "someone" / "model"
    folder.mkdir(parents=True)
    (folder / BIG).write_bytes(os.urandom(30_000_000))
    with serve(tmp_path / "hub") as running:
        yield running


def content(hub: Hub, name: str = BIG) -> bytes:
    return (hub.root / "someone" / "model" / name).read_bytes()


def test_a_file_comes_whole_and_is_what_the_hub_says(hub: Hub, tmp_path: Path) -> None:
    path = fetch(HubFile("someone/model", BIG), tmp_path / "out", endpoint=hub.endpoint)
    assert path.read_bytes() == content(hub)
    assert [one.name for one in (tmp_path / "out").iterdir()] == [BIG]


def test_a_download_that_was_killed_goes_on_where_it_stopped(hub: Hub, tmp_path: Path) -> None:
    """A real process, killed while it waits for more: what it had on disk is not fetched again."""
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from shotstream.checkpoints.model_files import HubFile, fetch\n"
        f"fetch(HubFile('someone/model', '{BIG}'), Path(sys.argv[1]), endpoint=sys.argv[2])\n"
    )
    hub.stall = 25_000_000
    process = subprocess.Popen([sys.executable, "-c", program, str(tmp_path / "out"), hub.endpoint])
    try:
        deadline = monotonic() + 300
        while not (had := sum(path.stat().st_size for path in tmp_path.glob("out/.*.part"))):
            assert process.poll() is None and monotonic() < deadline
            sleep(0.05)
    finally:
        process.kill()
        process.wait()
        hub.go.set()
    had = sum(path.stat().st_size for path in tmp_path.glob("out/.*.part"))
    assert 0 < had <= 25_000_000
    path = fetch(HubFile("someone/model", BIG), tmp_path / "out", endpoint=hub.endpoint)
    assert path.read_bytes() == content(hub)
    assert hub.downloads() == [(BIG, None), (BIG, f"bytes={had}-")]


def test_what_is_not_what_the_hub_says_is_thrown_away(hub: Hub, tmp_path: Path) -> None:
    hub.lie = True
    with pytest.raises(WeightsError, match="came damaged"):
        fetch(HubFile("someone/model", BIG), tmp_path / "out", endpoint=hub.endpoint)
    assert list((tmp_path / "out").iterdir()) == []


def test_what_cannot_be_fetched_is_one_line(hub: Hub, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="someone/model/none: cannot be fetched") as caught:
        fetch(HubFile("someone/model", "none"), tmp_path / "out", endpoint=hub.endpoint)
    assert "\n" not in str(caught.value) and "--from" in str(caught.value)
    closed = hub.endpoint.rsplit(":", 1)[0] + ":9"
    with pytest.raises(WeightsError, match="check the network"):
        fetch(HubFile("someone/model", BIG), tmp_path / "out", endpoint=closed)


def parts(described: Path) -> tuple[Part, ...]:
    """The published recipe, for a tiny transformer."""
    recipe = parts_of(FAMILY, "wan-1.3b")
    make = partial(_tiny_student, described)
    return tuple(
        Part(HubFile("KlingTeam/ShotStream", TRANSFORMER), part.file, make)
        if part.file == "student.safetensors"
        else part
        for part in recipe
    )


def _tiny_student(described: Path, source: Path, folder: Path) -> None:
    convert(source, folder, named=str(described))


def test_the_recipe_makes_a_folder_that_loads_and_fetches_only_what_is_missing(
    wan_release: Path, tmp_path: Path, home: Path
) -> None:
    described = tmp_path / "tiny.json"
    described.write_text(TINY_WAN.model_dump_json())
    shutil.copytree(wan_release, tmp_path / "hub" / "Wan-AI" / "Wan2.1-T2V-1.3B")
    (tmp_path / "local").mkdir()
    shutil.copy(wan_release / TRANSFORMER, tmp_path / "local")
    said: list[str] = []
    options: dict[str, Any] = {"local": [tmp_path / "local"], "keep": False, "tell": said.append}
    with serve(tmp_path / "hub") as hub:
        folder = pull_parts(parts(described), tmp_path / "pulled", endpoint=hub.endpoint, **options)
        assert sorted(name for name, _ in hub.downloads()) == sorted([VAE, TEXT, "tokenizer.json"])
        assert not (folder / "downloads").exists()
        assert any(str(tmp_path / "local") in line for line in said)
        (folder / "vae" / "config.json").unlink()  # as if stopped half-way
        hub.asked.clear()
        pull_parts(parts(described), tmp_path / "pulled", endpoint=hub.endpoint, **options)
        assert [name for name, _ in hub.downloads()] == [VAE]
    film = shotstream.load(folder, device="cpu").open(global_caption="A fox.", seed=1)
    assert film.shot("It walks.", seconds=0.5).wait() is not None
    with pytest.raises(InputError, match="no such folder"):
        pull_parts(parts(described), tmp_path / "x", endpoint=None, **{**options, "local": [tmp_path / "none"]})


def test_a_model_in_our_layout_is_pulled_by_its_hub_id(tiny_wan: Path, tmp_path: Path, home: Path) -> None:
    shutil.copytree(tiny_wan, tmp_path / "hub" / "someone" / "fox")
    (tmp_path / "hub" / "someone" / "fox" / "run.py").write_text("print('never')")
    with serve(tmp_path / "hub") as hub:
        folder = pull("someone/fox", endpoint=hub.endpoint)
        assert folder == home / "models" / "someone--fox"
        assert not (folder / "run.py").exists()
        hub.asked.clear()
        pull("someone/fox", endpoint=hub.endpoint)
        assert hub.downloads() == []
        shutil.copytree(tmp_path / "hub" / "someone" / "fox" / "vae", tmp_path / "hub" / "someone" / "other")
        with pytest.raises(WeightsError, match="not a model of ours"):
            pull("someone/other", endpoint=hub.endpoint)
    assert shotstream.load("someone/fox", device="cpu").model_name == "tiny-wan"
    for name in ("storyworld", "wan", "a/b/c"):
        with pytest.raises(InputError, match="cannot be pulled"):
            pull(name)


def test_a_pull_that_was_stopped_is_told_and_goes_on(wan_release: Path, tmp_path: Path, home: Path) -> None:
    """After the first of the parts: no part of it is taken for the model, and plans are as if nothing were there."""
    described = tmp_path / "tiny.json"
    described.write_text(TINY_WAN.model_dump_json())
    recipe = parts(described)
    folder = model_folder("wan-1.3b")
    pull_parts(recipe[:2], folder, local=[wan_release], keep=False, endpoint=None, tell=lambda line: None)
    assert missing_parts("wan-1.3b", folder) == ["student.safetensors", "text_encoder/config.json"]
    with pytest.raises(WeightsError, match=r"not completely downloaded \(missing student\.safetensors.*resumes"):
        find_model("wan-1.3b", "student")
    wanted: dict[str, Any] = {"device": "cuda", "dtype": "auto", "size": None, "light_decoder": False}
    assert plan_of("wan-1.3b", memory=24, **wanted).width == 832
    pull_parts(recipe, folder, local=[wan_release], keep=False, endpoint=None, tell=lambda line: None)
    assert is_pulled("wan-1.3b") and find_model("wan-1.3b", "student").transformer.is_file()


def test_a_hub_model_that_came_in_part_is_told(hub: Hub, home: Path) -> None:
    place = hub.root / "someone" / "model"
    (place / "student.safetensors").write_bytes(b"weights")
    hub.lie = True
    with pytest.raises(WeightsError, match="came damaged"):
        pull("someone/model", endpoint=hub.endpoint)
    with pytest.raises(WeightsError, match="is not completely downloaded"):
        find_model("someone/model", "student")
    hub.lie = False
    pull("someone/model", endpoint=hub.endpoint)
    assert find_model("someone/model", "student").transformer.read_bytes() == b"weights"
