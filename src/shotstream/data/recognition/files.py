"""Recognisers on disk: safetensors whose header says what they are, of which world, and how good on truth."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from shotstream.core.errors import WeightsError
from shotstream.core.files import whole_file
from shotstream.core.weight_check import check_names_and_shapes
from shotstream.data.recognition.network import Recogniser, RecogniserConfig
from shotstream.data.recognition.questions import PERSON, PICTURE
from shotstream.data.world.spec import WORLD_VERSION

RECOGNISERS_VERSION = 1
_KIND = "recognisers"


@dataclass(frozen=True, slots=True)
class Header:
    """What a file says of itself. ``accuracy``: share of right answers on held-out true films, by question."""

    version: str
    world: str
    accuracy: dict[str, float]


def save_recogniser(network: Recogniser, path: Path, accuracy: Mapping[str, float]) -> None:
    """Write ``network`` in half precision. Raises :class:`StorageError` when the disk refuses."""
    header = {
        "kind": _KIND,
        "version": str(RECOGNISERS_VERSION),
        "world": str(WORLD_VERSION),
        "config": network.config.model_dump_json(),
        "questions": json.dumps({"picture": PICTURE, "person": PERSON}),
        "accuracy": json.dumps({name: round(value, 4) for name, value in accuracy.items()}),
    }
    tensors = {name: value.half().contiguous() for name, value in network.state_dict().items()}
    with whole_file(path) as temporary:
        save_file(tensors, temporary, metadata=header)


def load_recogniser(path: Path) -> tuple[Recogniser, Header]:
    """What :func:`save_recogniser` wrote, as float32. Raises :class:`WeightsError`, one line."""
    try:
        with safe_open(path, "pt") as file:
            header = file.metadata() or {}
            tensors = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as fault:
        said = str(fault).splitlines()[0]
        raise WeightsError(f"{path}: not a readable weight file ({said}); train storyworld/recognisers") from fault
    if header.get("kind") != _KIND:
        raise WeightsError(f"{path}: holds {json.dumps(header.get('kind'))}, not {_KIND!r}; give the right file")
    asked = json.dumps({"picture": PICTURE, "person": PERSON})
    if header["world"] != str(WORLD_VERSION) or header["questions"] != asked:
        raise WeightsError(f"{path}: trained on another world (version {header['world']}, now {WORLD_VERSION})")
    network = Recogniser(RecogniserConfig.model_validate_json(header["config"]))
    check_names_and_shapes(network, tensors, str(path))
    network.load_state_dict(tensors)
    return network.eval(), Header(header["version"], header["world"], json.loads(header["accuracy"]))
