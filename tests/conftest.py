"""A whole model with random weights, small enough to make a film in a moment."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch
from shapes import check_shapes
from tokenizers import Tokenizer, models, pre_tokenizers

from shotstream.checkpoints.codec_weights import save_autoencoder, save_text_encoder
from shotstream.checkpoints.transformer_weights import WeightsHeader, save_transformer
from shotstream.codecs.text_encoder import TextEncoderConfig, TextTransformer, WorldTextEncoder
from shotstream.codecs.video_autoencoder import VideoAutoencoder, VideoAutoencoderConfig
from shotstream.core.flow import FlowSchedule
from shotstream.core.geometry import Geometry
from shotstream.families.preset import Preset, SamplerSettings
from shotstream.models.config import TransformerConfig
from shotstream.models.transformer import Transformer

if TYPE_CHECKING:
    from chat_rig import ChatServer

assert check_shapes() > 40  # from here on, every annotated function compares shapes

WORDS = (
    "a",
    "red",
    "blue",
    "fox",
    "owl",
    "in",
    "the",
    "forest",
    "snow",
    "it",
    "walks",
    "sits",
    "sleeps",
    "wide",
    "shot",
)
TINY = Preset(
    name="tiny",
    geometry=Geometry(width=64, height=32, spatial=16, latent_channels=4, default_blocks=2),
    transformer=TransformerConfig(in_channels=4, dim=24, ffn_dim=32, heads=2, layers=2, freq_dim=16, text_dim=12),
    schedule=FlowSchedule(shift=3.0),
    student=SamplerSettings(),
    teacher=SamplerSettings(kind="euler", steps=2, guidance=2.0),
)


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Interrupted renders of one test are nobody else's."""
    cache = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("SHOTSTREAM_CACHE", str(cache))
    return cache


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that ``shotstream.load`` takes: student, teacher, codecs and preset."""
    folder = tmp_path_factory.mktemp("tiny")
    (folder / "preset.json").write_text(TINY.model_dump_json())
    with torch.random.fork_rng():
        torch.manual_seed(0)
        save_autoencoder(_autoencoder(), folder / "autoencoder.safetensors")
        save_text_encoder(_text_encoder(), folder / "text_encoder.safetensors")
        codecs = ("autoencoder", "text_encoder")
        versions = {
            name: hashlib.sha256((folder / f"{name}.safetensors").read_bytes()).hexdigest()[:12] for name in codecs
        }
        for role in ("student", "teacher"):
            model = Transformer(TINY.transformer)
            torch.nn.init.normal_(model.head.head.weight, std=0.3)  # a new model's head is silent
            header = WeightsHeader(role=role, preset="tiny", config=TINY.transformer, versions=versions)
            save_transformer(model, folder / f"{role}.safetensors", header)
    return folder


@pytest.fixture(scope="session")
def wan_release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model in the files of Wan's release."""
    from wan_rig import make_release

    folder = tmp_path_factory.mktemp("release")
    make_release(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_wan(wan_release: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The release, converted: a folder that ``shotstream.load`` takes."""
    from wan_rig import TINY_WAN, bring_codecs

    from shotstream.checkpoints.convert import convert

    folder = tmp_path_factory.mktemp("tiny_wan")
    described = folder / "described.json"
    described.write_text(TINY_WAN.model_dump_json())
    convert(wan_release, folder, named=str(described))
    bring_codecs(wan_release, folder)
    return folder


@pytest.fixture
def chat(monkeypatch: pytest.MonkeyPatch) -> Iterator[ChatServer]:
    """A chat model's endpoint, which wants no key."""
    from chat_rig import answering

    monkeypatch.delenv("SHOTSTREAM_WRITER_KEY", raising=False)
    with answering() as server:
        yield server


@pytest.fixture
def config() -> TransformerConfig:
    """A transformer small enough to run hundreds of times a second."""
    return TransformerConfig(in_channels=4, dim=48, ffn_dim=64, heads=2, layers=2, freq_dim=32, text_dim=8)


@pytest.fixture
def model(config: TransformerConfig) -> Transformer:
    """It, with a head that says something."""
    torch.manual_seed(0)
    model = Transformer(config)
    torch.nn.init.normal_(model.head.head.weight, std=0.1)
    return model


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A place of one test's own for what outlives a run."""
    monkeypatch.setenv("SHOTSTREAM_CACHE", str(tmp_path / "home"))
    return tmp_path / "home"


def _autoencoder() -> VideoAutoencoder:
    narrow, shallow = (8, 8, 8), (1, 1, 1)
    return VideoAutoencoder(
        VideoAutoencoderConfig(
            latent_channels=TINY.geometry.latent_channels,
            encoder_widths=narrow,
            decoder_widths=narrow,
            encoder_depths=shallow,
            decoder_depths=shallow,
            head_width=16,
        )
    )


def _text_encoder() -> WorldTextEncoder:
    vocabulary = {word: index for index, word in enumerate(("[pad]", "[unk]", *WORDS, ".", ","))}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[unk]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    config = TextEncoderConfig(vocabulary=len(vocabulary), text_len=48, text_dim=12, layers=1, heads=2, ffn_dim=16)
    return WorldTextEncoder(TextTransformer(config), tokenizer, WORDS)
