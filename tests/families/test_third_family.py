"""A third family is one file beside the others, with its codecs: put there, it is converted, found and filmed."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import shotstream
from shotstream import families
from shotstream.checkpoints.convert import convert
from shotstream.checkpoints.model_files import find_model
from shotstream.checkpoints.pull import parts_of
from shotstream.core.errors import InputError, WeightsError
from shotstream.families.family import family_of, known_presets
from shotstream.models.transformer import Transformer
from shotstream.training.data.material import open_text, open_video

TOY = '''
"""A family whose pictures are its latents and whose words are letters."""

import torch

from shotstream.core.flow import FlowSchedule
from shotstream.core.geometry import Geometry
from shotstream.families.family import Codecs, Family, HubPart
from shotstream.families.preset import Preset, SamplerSettings
from shotstream.models.config import TransformerConfig

PRESET = Preset(
    name="toy",
    geometry=Geometry(width=32, height=16, spatial=4, latent_channels=3, max_blocks=2, default_blocks=1),
    transformer=TransformerConfig(in_channels=3, dim=24, ffn_dim=32, heads=2, layers=1, freq_dim=16, text_dim=26),
    schedule=FlowSchedule(shift=2.0),
    student=SamplerSettings(timesteps=(1000, 500), guidance=2.0),
    teacher=SamplerSettings(kind="euler", steps=2),
    prompt_form="{caption} / {global_caption} / {shot}",
    negative_prompt="z",
)


class Letters:
    text_len, text_dim, words = 8, 26, frozenset()

    def __init__(self, said):
        self.said = said

    def encode(self, captions):
        self.said.extend(captions)
        codes = [[(ord(letter) - 97) % 26 for letter in caption[:8].ljust(8)] for caption in captions]
        return torch.nn.functional.one_hot(torch.tensor(codes), 26).float()

    def unknown_words(self, text):
        return []

    def lost_words(self, text):
        return []


class Cells:
    def __init__(self, geometry, scale):
        self.geometry, self.scale = geometry, scale

    def encode_images(self, images):
        return torch.nn.functional.avg_pool2d(images, 4)

    def encode(self, video):
        return self.encode_images(video[:, ::4].flatten(0, 1)).unflatten(0, (len(video), -1))

    def decode(self, latents):
        return self.decoder().push(latents)

    def decoder(self):
        return Growing(self.scale)


class Growing:
    def __init__(self, scale):
        self.scale, self.first = scale, True

    def push(self, latents):
        video = (latents * self.scale).repeat_interleave(4, 3).repeat_interleave(4, 4).repeat_interleave(4, 1)
        start, self.first = (3 if self.first else 0), False
        return video[:, start:].clamp(-1, 1)


class Files:
    sizes = None

    def __init__(self, folder, reader):
        self.path, self.reader, self.said = folder / "toy_codec.safetensors", reader, []
        self.files, self.text_source = (self.path,), self.path
        self.versions = {"autoencoder": "toy 1", "text_encoder": "letters"}

    def check(self, versions, transformer):
        pass

    def open_video(self, geometry, options):
        return Cells(geometry, self.reader.tensors(self.path)["scale"])

    def open_text(self, options):
        return Letters(self.said)


def find(folder, reader):
    return Files(folder, reader) if (folder / "toy_codec.safetensors").exists() else None


FAMILY = Family(
    name="toy",
    presets=(PRESET,),
    codecs=Codecs(find=find),
    hub={"toy": (HubPart("someone/toy", "w.pt", "student.safetensors", "student"),)},
)
'''


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The one file, beside those of the package."""
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "toy.py").write_text(TOY)
    monkeypatch.setattr(families, "__path__", [*families.__path__, str(tmp_path / "more")])
    yield tmp_path
    sys.modules.pop("shotstream.families.toy", None)
    vars(families).pop("toy", None)


def test_one_file_and_its_codecs_are_a_family(toy: Path) -> None:
    preset = known_presets()["toy"]
    model = Transformer(preset.transformer)
    torch.nn.init.normal_(model.head.head.weight, std=0.3)
    torch.save({"generator": {f"model.{name}": one for name, one in model.state_dict().items()}}, toy / "w.pt")
    assert convert(toy / "w.pt", toy / "m").preset == "toy"
    family = family_of("toy")
    assert family is not None and [part.file for part in parts_of(family, "toy")] == ["student.safetensors"]
    save_file({"scale": torch.tensor(0.5)}, toy / "m" / "toy_codec.safetensors")
    assert find_model(str(toy / "m"), "student").codecs.files == (toy / "m" / "toy_codec.safetensors",)
    director = shotstream.load(toy / "m", device="cpu", dtype="float32")
    film = director.open(global_caption="a fox", seed=1)
    first = film.shot("it walks", seconds=0.5).wait().frames
    assert first.shape == (9, 16, 32, 3) and first.std() > 0
    film.shot("it sits", seconds=0.5).wait()
    said = director.generator.text_encoder.encoder.said
    assert {"z", "it walks / a fox / 0", "it sits / a fox / 1"} <= set(said)
    before = director.model_version
    save_file({"scale": torch.tensor(0.25)}, toy / "m" / "toy_codec.safetensors")
    again = shotstream.load(toy / "m", device="cpu", dtype="float32")
    assert again.model_version != before
    assert not np.array_equal(
        again.open(global_caption="a fox", seed=1).shot("it walks", seconds=0.5).wait().frames, first
    )


def test_training_finds_its_codecs_by_its_folder(toy: Path) -> None:
    (toy / "m").mkdir()
    save_file({"scale": torch.tensor(0.5)}, toy / "m" / "toy_codec.safetensors")
    geometry = known_presets()["toy"].geometry
    codec, version = open_video(str(toy / "m"), geometry)
    text, letters = open_text(str(toy / "m"))
    assert (version, letters) == ("toy 1", "letters") and text.encode(["fox"]).shape == (1, 8, 26)
    assert codec.encode(torch.zeros(1, 5, 3, geometry.height, geometry.width)).shape == (1, 2, *geometry.latent_shape)
    with pytest.raises(InputError, match="holds no model's codecs"):
        open_video(str(toy / "more"), geometry)


def test_its_pull_is_told_as_any(toy: Path, home: Path) -> None:
    with pytest.raises(WeightsError, match="shotstream models pull toy"):
        find_model("toy", "student")
