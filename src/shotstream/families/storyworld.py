"""The embedded family, `storyworld`: small enough for a CPU, trained on the procedural world; and its codecs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from shotstream.codecs.text_encoder import TextEncoderConfig, TextTransformer, WorldTextEncoder, make_tokenizer
from shotstream.codecs.video_autoencoder import LightVideoCodec, VideoAutoencoder, VideoAutoencoderConfig, fitted
from shotstream.core.errors import WeightsError
from shotstream.core.files import fingerprint
from shotstream.core.flow import FlowSchedule
from shotstream.core.geometry import Geometry
from shotstream.families.family import CodecFiles, CodecOptions, CodecReader, Codecs, Family
from shotstream.families.preset import Preset, SamplerSettings
from shotstream.models.config import TransformerConfig

AUTOENCODER, TEXT_ENCODER = "video-autoencoder", "text-encoder"  # kinds, as their headers say
BUNDLED = Path(str(files("shotstream") / "bundled"))


@dataclass(frozen=True, slots=True)
class WorldFiles:
    """``own``: they lie beside the transformer, not in the package."""

    autoencoder: Path
    text_encoder: Path
    reader: CodecReader
    own: bool
    sizes = None  # small enough for any device

    @property
    def files(self) -> tuple[Path, ...]:
        return (self.autoencoder, self.text_encoder)

    @property
    def versions(self) -> Mapping[str, str]:
        return {"autoencoder": fingerprint(self.autoencoder), "text_encoder": fingerprint(self.text_encoder)}

    @property
    def text_source(self) -> Path:
        return self.text_encoder

    def check(self, versions: Mapping[str, str], transformer: Path) -> None:
        """Refuse codecs other than those the transformer was trained on; its header names them by their content."""
        for kind, path in (("autoencoder", self.autoencoder), ("text_encoder", self.text_encoder)):
            if not path.is_file():
                raise WeightsError(f"{path}: no such file; fetch or train the weights first")
            found = fingerprint(path)
            if versions.get(kind, found) != found:
                raise WeightsError(
                    f"{path}: is {kind} {found}, {transformer.name} was trained on {versions[kind]}; "
                    "the file is damaged or another version: fetch both again"
                )

    def open_video(self, geometry: Geometry, options: CodecOptions) -> LightVideoCodec:
        """The video codec. Raises :class:`WeightsError`, also where the package's stand in and are of another kind."""
        if options.light:
            raise WeightsError(
                f"light_decoder: only Wan's codecs have one, and {self.autoencoder.parent} holds others; leave it out"
            )
        read, _ = self.reader.single(self.autoencoder, AUTOENCODER, build_autoencoder)
        module = fitted(read, geometry)
        if not self.own and module.config.misfit(geometry):
            raise WeightsError(
                "the model's folder holds no codecs, and the package's own are of another kind; bring them with "
                "shotstream models convert --codecs FOLDER"
            )
        return LightVideoCodec(module.to(options.device, options.dtype), geometry)

    def open_text(self, options: CodecOptions) -> WorldTextEncoder:
        return read_text_encoder(self.text_encoder, self.reader)


def find(folder: Path, reader: CodecReader) -> CodecFiles | None:
    """The codecs beside a transformer in ``folder``; the package's for what is missing of them."""
    own = {name: folder / f"{name}.safetensors" for name in ("autoencoder", "text_encoder")}
    there = {name: path if path.exists() else BUNDLED / path.name for name, path in own.items()}
    return WorldFiles(**there, reader=reader, own=own["autoencoder"].exists()) if own["autoencoder"].exists() else None


def bundled(folder: Path, reader: CodecReader) -> WorldFiles:
    """The package's codecs, for a ``folder`` that brings none; a text encoder of its own is taken."""
    text = folder / "text_encoder.safetensors"
    text = text if text.exists() else BUNDLED / text.name
    return WorldFiles(BUNDLED / "autoencoder.safetensors", text, reader, own=folder == BUNDLED)


def build_autoencoder(header: Mapping[str, str]) -> VideoAutoencoder:
    """The autoencoder that a file's header describes, without its numbers."""
    return VideoAutoencoder(VideoAutoencoderConfig.model_validate_json(header["config"]))


def read_text_encoder(path: Path, reader: CodecReader) -> WorldTextEncoder:
    """The text encoder of a file, which holds its tokenizer and words too. Raises :class:`WeightsError`."""
    read: dict[str, Any] = {}

    def build(header: Mapping[str, str]) -> TextTransformer:
        read["tokenizer"] = make_tokenizer(header["tokenizer"], str(path), trusted=path.parent == BUNDLED)
        read["words"] = json.loads(header["words"])
        return TextTransformer(TextEncoderConfig.model_validate_json(header["config"]))

    transformer, _ = reader.single(path, TEXT_ENCODER, build)
    return WorldTextEncoder(transformer, read["tokenizer"], read["words"])


CODECS = Codecs(find=find)


STORYWORLD = Preset(
    name="storyworld",
    geometry=Geometry(width=256, height=160, spatial=16, latent_channels=16),
    transformer=TransformerConfig(
        in_channels=16,
        dim=288,
        ffn_dim=1152,
        heads=6,
        layers=8,
        text_dim=192,
        prediction="x0",
        caption_padding="hidden",
    ),
    # Fresh noise between the steps mends what a small network gets wrong; the flow's ODE adds it up (the log).
    schedule=FlowSchedule(shift=6.0),
    # No refresh: a pass less, and captions are followed better (docs/performance.md).
    student=SamplerSettings(timesteps=(1000, 689, 400, 143), refresh=False),
    teacher=SamplerSettings(timesteps=(1000, 875, 750, 625, 500, 375, 250, 125), guidance=2.0),
)

FAMILY = Family(name="storyworld", presets=(STORYWORLD,), codecs=CODECS)
