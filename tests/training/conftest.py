"""A tiny model with its material already made: random latents of stories, so that no world need be drawn."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from runs import ignore
from safetensors.torch import save_file

from shotstream.checkpoints.codec_weights import load_text_encoder
from shotstream.core.context_budget import pickable_frames
from shotstream.core.files import fingerprint
from shotstream.data.world.stories import Split
from shotstream.families.preset import read_preset
from shotstream.training.data import picture_store
from shotstream.training.data.latent_store import SHARD
from shotstream.training.data.material import Material, MaterialSettings
from shotstream.training.data.story_sources import WorldStories
from shotstream.training.engine.loop import Run
from shotstream.training.engine.stage import Stage

SHOTS, BLOCKS = 3, 2
PICTURE_STORIES = 4


@pytest.fixture(scope="session")
def preset_file(tiny_model: Path) -> str:
    return str(tiny_model / "preset.json")


@pytest.fixture(scope="session")
def material(tiny_model: Path) -> MaterialSettings:
    return MaterialSettings(
        autoencoder=str(tiny_model / "autoencoder.safetensors"),
        text_encoder=str(tiny_model / "text_encoder.safetensors"),
        stories=SHARD,
        held_out_stories=SHARD,
    )


@pytest.fixture(scope="session")
def store(tiny_model: Path, material: MaterialSettings, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of data in which a :class:`Material` finds its stories."""
    folder = tmp_path_factory.mktemp("data")
    preset = read_preset(tiny_model / "preset.json")
    geometry, text = preset.geometry, load_text_encoder(Path(material.text_encoder))
    told = (text.text_len, text.text_dim)
    codecs = "+".join(fingerprint(Path(path)) for path in (material.autoencoder, material.text_encoder))
    generator = torch.Generator().manual_seed(0)
    frames = geometry.shot_frames(BLOCKS)
    splits: tuple[Split, ...] = ("train", "held-out")
    for split in splits:
        source = WorldStories(seed=material.seed, split=split, decoded_share=material.decoded_share, preset=preset)
        (folder / f"latents-{split}").mkdir()
        description = json.dumps({**source.made_by, "codec": codecs})
        (folder / f"latents-{split}" / "latents.json").write_text(description)
        shapes = {
            "latents": (BLOCKS * geometry.block_frames, *geometry.latent_shape),
            "singles": (len(pickable_frames(frames, geometry.context_frames)), *geometry.latent_shape),
            "caption": told,
        }
        tensors = {
            f"{story}.{shot}.{part}": torch.randn(shape, generator=generator).half()
            for story in range(SHARD)
            for shot in range(SHOTS)
            for part, shape in shapes.items()
        }
        # Story 0 changes in the middle of its second shot, and has two pinned pictures.
        tensors["0.1.changed"] = torch.randn(told, generator=generator).half()
        tensors["0.pinned"] = torch.randn(2, *geometry.latent_shape, generator=generator).half()
        tensors["0.pinned_captions"] = torch.randn(2, *told, generator=generator).half()
        changes = [[None] * SHOTS for _ in range(SHARD)]
        changes[0][1] = geometry.block_frames
        metadata = {"shots": json.dumps([[frames] * SHOTS] * SHARD), "changes": json.dumps(changes)}
        save_file(tensors, folder / f"latents-{split}" / "shard-00000.safetensors", metadata=metadata)
    return folder


@pytest.fixture
def with_pictures(material: MaterialSettings, monkeypatch: pytest.MonkeyPatch) -> MaterialSettings:
    monkeypatch.setattr(picture_store, "SHARD", PICTURE_STORIES)
    return material.model_copy(update={"picture_stories": PICTURE_STORIES})


@pytest.fixture
def own_store(store: Path, tmp_path: Path) -> Path:
    """The shared data without others' pictures, whose files hold another number of stories."""
    return Path(shutil.copytree(store, tmp_path / "data", ignore=shutil.ignore_patterns("pictures")))


@pytest.fixture
def found(with_pictures: MaterialSettings, preset_file: str, own_store: Path) -> Material:
    return Material(with_pictures, read_preset(Path(preset_file)), own_store, ignore)


Train = Callable[[Stage, Path], Run]


@pytest.fixture
def train() -> Train:
    """Run a stage to its end in a folder, from the newest checkpoint there."""

    def run(stage: Stage, folder: Path) -> Run:
        trained = Run(stage, folder)
        trained.resume()
        trained.train(ignore)
        return trained

    return run
