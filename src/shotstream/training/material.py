"""What the transformer's stages share: the frozen codecs, and the latent stores made with them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from pydantic import Field

from shotstream.codecs.video_autoencoder import LightVideoCodec
from shotstream.codecs.weights import load_autoencoder, load_text_encoder
from shotstream.core.config import Config
from shotstream.core.errors import InputError
from shotstream.core.files import fingerprint
from shotstream.core.geometry import Geometry
from shotstream.data.world.splits import Split
from shotstream.models.transformer import Transformer
from shotstream.models.weights import check_names_and_shapes, load_transformer
from shotstream.training.latent_store import LatentStore, build_latents


class MaterialSettings(Config):
    """Which codecs, and how many stories are drawn and coded with them."""

    autoencoder: str  # safetensors file, or "bundled"
    text_encoder: str  # safetensors file, or "bundled"
    stories: int = Field(default=2000, gt=0)
    held_out_stories: int = Field(default=32, gt=0)
    seed: int = 1
    decoded_share: float = Field(
        default=0.5, ge=0, le=1
    )  # stories whose condition frames went through the codec before


class Material:
    """Codecs and stores. ``versions`` names the codecs by their content, for the headers of what is trained on them."""

    def __init__(
        self, settings: MaterialSettings, geometry: Geometry, store: Path, progress: Callable[[int, int], None]
    ) -> None:
        autoencoder, text = (
            find_weights(settings.autoencoder, "autoencoder"),
            find_weights(settings.text_encoder, "text_encoder"),
        )
        self.versions = {"autoencoder": fingerprint(autoencoder), "text_encoder": fingerprint(text)}
        self.text = load_text_encoder(text)
        self.codec = LightVideoCodec(load_autoencoder(autoencoder).to(torch.bfloat16), geometry)
        self._settings, self._store, self._progress = settings, store, progress
        self.train = self._latents("train", settings.stories)
        self.held_out = self._latents("held-out", settings.held_out_stories)

    def _latents(self, split: Split, stories: int) -> LatentStore:
        return build_latents(
            self._store / f"latents-{split}",
            stories=stories,
            seed=self._settings.seed,
            split=split,
            decoded_share=self._settings.decoded_share,
            codec=self.codec,
            codec_version="+".join(self.versions.values()),
            text=self.text,
            progress=self._progress,
        )


def find_weights(name: str, bundled: str) -> Path:
    """A weight file by path, or the packaged ``bundled`` one. Raises :class:`InputError` if there is none."""
    path = Path(__file__).parent.parent / "bundled" / f"{bundled}.safetensors" if name == "bundled" else Path(name)
    if not path.is_file():
        raise InputError(f"{path}: no such weights; train the {bundled} first or name another file")
    return path


def start_from(model: Transformer, name: str, bundled: str) -> None:
    """Copy weights of the same network into ``model``: the start of a later stage, or a warm start."""
    loaded, _ = load_transformer(find_weights(name, bundled))
    check_names_and_shapes(model, loaded.state_dict(), name)
    model.load_state_dict(loaded.state_dict())
