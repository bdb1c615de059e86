"""The ComfyUI nodes, loaded, validated and run by a stand-in for ComfyUI that does what its documentation says."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import shotstream

FOLDER = Path(__file__).parents[2] / "integrations" / "comfyui"
WORKFLOW = json.loads((FOLDER / "film.json").read_text(encoding="utf-8"))
TYPES = {"STRING": str, "INT": int, "FLOAT": float}


class InterruptProcessingException(Exception):
    """What ComfyUI raises in a node when somebody presses cancel."""


class CreateVideo:
    """The core's node of that name, as far as its types go."""

    RETURN_TYPES, FUNCTION = ("VIDEO",), "create"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"images": ("IMAGE",), "fps": ("FLOAT", {"min": 1.0, "max": 120.0})}}

    def create(self, images: torch.Tensor, fps: float) -> tuple[SimpleNamespace]:
        return (SimpleNamespace(images=images, fps=fps),)


class SaveVideo:
    """The core's node of that name: where a workflow ends."""

    RETURN_TYPES, FUNCTION, OUTPUT_NODE = (), "save", True
    saved: SimpleNamespace

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        text = ("STRING", {})
        return {"required": {"video": ("VIDEO",), "filename_prefix": text, "format": text, "codec": text}}

    def save(self, video: SimpleNamespace, filename_prefix: str, format: str, codec: str) -> tuple[()]:
        SaveVideo.saved = video
        return ()


class Comfy:
    """Nodes by name. ``previews``: what was shown while they ran; ``cancel_after``: so many of them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.previews: list[tuple[int, int, tuple[str, Image.Image, int]]] = []
        self.cancel_after: int | None = None
        comfy = self

        class ProgressBar:
            def __init__(self, total: int) -> None:
                self.total = total

            def update_absolute(self, value: int, total: int | None = None, preview: Any = None) -> None:
                comfy.previews.append((value, self.total if total is None else total, preview))

        def throw_exception_if_processing_interrupted() -> None:
            if self.cancel_after is not None and len(self.previews) >= self.cancel_after:
                raise InterruptProcessingException

        core, utils, management = (ModuleType(name) for name in ("comfy", "comfy.utils", "comfy.model_management"))
        utils.ProgressBar = ProgressBar
        management.throw_exception_if_processing_interrupted = throw_exception_if_processing_interrupted
        core.utils, core.model_management = utils, management
        for module in (core, utils, management):
            monkeypatch.setitem(sys.modules, module.__name__, module)
        package = self._loaded(monkeypatch)
        assert package.NODE_CLASS_MAPPINGS.keys() == package.NODE_DISPLAY_NAME_MAPPINGS.keys()
        self.nodes = {**package.NODE_CLASS_MAPPINGS, "CreateVideo": CreateVideo, "SaveVideo": SaveVideo}

    def _loaded(self, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
        """A folder of custom_nodes, as ComfyUI imports it: under a name made of its path."""
        name = str(FOLDER).replace(".", "_x_")
        spec = importlib.util.spec_from_file_location(name, FOLDER / "__init__.py")
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, name, module)
        monkeypatch.delitem(sys.modules, f"{name}.nodes", raising=False)
        spec.loader.exec_module(module)
        return module

    def faults(self, workflow: dict[str, Any]) -> dict[str, str]:
        """What is wrong with the inputs of each node, before anything runs."""
        found = {}
        for key, node in workflow.items():
            kind, inputs = self.nodes[node["class_type"]], node["inputs"]
            wanted = kind.INPUT_TYPES()["required"]
            assert isinstance(wanted, dict) and set(wanted) == set(inputs)
            for name, (type_, *options) in wanted.items():
                given = inputs[name]
                if isinstance(given, list):
                    source = self.nodes[workflow[given[0]]["class_type"]]
                    assert source.RETURN_TYPES[given[1]] == type_, name
                elif isinstance(type_, list):
                    assert given in type_, name
                else:
                    assert isinstance(given, TYPES[type_]), name
                    limits = options[0] if options else {}
                    assert not isinstance(given, int) or limits.get("min", 0) <= given <= limits.get("max", given)
            if "VALIDATE_INPUTS" in vars(kind):
                said = kind.VALIDATE_INPUTS(story=None if isinstance(inputs["story"], list) else inputs["story"])
                if said is not True:
                    found[key] = said
        return found

    def run(self, workflow: dict[str, Any]) -> None:
        """Every node once, those it takes something from before it."""
        assert self.faults(workflow) == {}
        results: dict[str, tuple[Any, ...]] = {}

        def result(key: str) -> tuple[Any, ...]:
            if key not in results:
                node = self.nodes[workflow[key]["class_type"]]
                given = {
                    name: result(value[0])[value[1]] if isinstance(value, list) else value
                    for name, value in workflow[key]["inputs"].items()
                }
                results[key] = vars(node)[node.FUNCTION](node(), **given)
                assert len(results[key]) == len(node.RETURN_TYPES)
            return results[key]

        for key, node in workflow.items():
            if "OUTPUT_NODE" in vars(self.nodes[node["class_type"]]):
                result(key)


@pytest.fixture
def comfy(monkeypatch: pytest.MonkeyPatch, tiny_model: Path) -> Iterator[Comfy]:
    load = shotstream.load
    monkeypatch.setattr(shotstream, "load", lambda model, device: load(tiny_model, device="cpu"), raising=False)
    yield Comfy(monkeypatch)


def with_story(story: object) -> dict[str, Any]:
    return {**WORKFLOW, "2": {**WORKFLOW["2"], "inputs": {**WORKFLOW["2"]["inputs"], "story": story}}}


def test_the_workflow_of_the_folder_makes_a_film_and_shows_it(comfy: Comfy) -> None:
    comfy.run(WORKFLOW)
    video = SaveVideo.saved
    assert video.fps == 16.0 and video.images.dtype == torch.float32 and video.images.shape[-1] == 3
    film = shotstream.load("", "").open(global_caption="A red fox with a blue hat in a snowy forest.", seed=7)
    for caption in ("Wide shot. The fox walks to the left.", "A close-up of the fox."):
        film.shot(caption, 1.3).wait()
    frames = np.stack(list(film.frames()))
    assert np.array_equal((video.images * 255).round().numpy().astype(np.uint8), frames)
    assert [value for value, _, _ in comfy.previews] == [9, 21, 30, 42] and {one[1] for one in comfy.previews} == {42}
    for value, _, (kind, image, largest) in comfy.previews:
        assert kind == "JPEG" and largest > 0 and np.array_equal(np.asarray(image), frames[value - 1])


def test_cancel_ends_it_at_the_next_block(comfy: Comfy) -> None:
    comfy.cancel_after = 1
    with pytest.raises(InterruptProcessingException):
        comfy.run(WORKFLOW)
    assert len(comfy.previews) == 1


@pytest.mark.parametrize(
    ("story", "said"),
    [
        ("", "story: is empty"),
        ("global_caption: a fox\nshots: []", "shots is empty"),
        ("global_caption: a fox\nshot: 3", "unknown key 'shot'"),
        ("global_caption: a fox\nshots: [{caption: x, clip: /etc/passwd}]", "names the file /etc/passwd"),
    ],
)
def test_what_is_no_story_is_told_in_one_line_when_it_is_queued(comfy: Comfy, story: str, said: str) -> None:
    told = comfy.faults(with_story(story))
    assert said in told["2"] and "\n" not in told["2"]


def test_a_story_may_come_from_another_node(comfy: Comfy) -> None:
    class Text(SaveVideo):
        RETURN_TYPES = ("STRING",)

    comfy.nodes["Text"] = Text
    text = {"class_type": "Text", "inputs": {**WORKFLOW["4"]["inputs"]}}
    assert comfy.faults({**with_story(["5", 0]), "5": text}) == {}
    assert comfy.nodes["ShotStreamFilm"].VALIDATE_INPUTS() is True  # where nothing of what comes is known yet
