"""Replay recorded tensors and prompts of the reference model through our own code and measure the difference.

Axes: B batch, F latent frames, K condition frames, C channels, h, w latent cells, S captions.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, Field, ValidationError
from torch import Tensor

from shotstream.checkpoints.safetensors_file import read_header, read_safetensors
from shotstream.checkpoints.transformer_weights import build
from shotstream.core.devices import pick_device
from shotstream.core.errors import InputError, WeightsError
from shotstream.core.flow import FlowSchedule
from shotstream.families.family import preset
from shotstream.families.preset import Preset
from shotstream.models.config import TransformerConfig
from shotstream.models.transformer import Transformer
from shotstream.models.visibility import Layout, block_causal
from shotstream.sampling.context import ContextFrames
from shotstream.sampling.rollout import RecordedNoise, rollout
from shotstream.sampling.solvers import few_step
from shotstream.sampling.streaming import StreamingShot

TOLERANCES = {"float32": 1e-5, "bfloat16": 2e-2}
TIMESTEPS = (1000, 740, 500, 260)  # the reference's few-step timesteps
Section = tuple[str, Tensor]


class RecordingConfig(BaseModel):
    """The sizes a recording states in its metadata, in the recording's own words; others are of no interest."""

    c: int = Field(gt=0)
    dim: int = Field(gt=0)
    ffn: int = Field(gt=0)
    freq_dim: int = Field(gt=0)
    text_dim: int = Field(gt=0)
    heads: int = Field(gt=0)
    layers: int = Field(gt=0)
    chunk: int = Field(gt=0)
    context_frames: int = Field(gt=0)
    timestep_shift: float = Field(ge=1)

    def transformer(self) -> TransformerConfig:
        return TransformerConfig(
            in_channels=self.c,
            dim=self.dim,
            ffn_dim=self.ffn,
            heads=self.heads,
            layers=self.layers,
            freq_dim=self.freq_dim,
            text_dim=self.text_dim,
        )


class PromptsConfig(BaseModel):
    """Whose ``preset`` puts the recorded prompts together."""

    preset: str


@dataclass(frozen=True, slots=True)
class Recording:
    """One opened file, and which of its tensors were asked for."""

    path: Path
    tensors: Mapping[str, Tensor]
    used: set[str] = field(default_factory=set)

    def get(self, name: str) -> Tensor:
        """The tensor called ``name``. Raises InputError."""
        if name not in self.tensors:
            raise InputError(f"{self.path}: holds no tensor {name!r}; record it again")
        self.used.add(name)
        return self.tensors[name]

    def text(self, name: str) -> str:
        """The letters of the tensor called ``name``, UTF-8."""
        return bytes(self.get(name).tolist()).decode()

    def weights(self) -> dict[str, Tensor]:
        """The recorded model's state dict, without the reference's wrapper before its names."""
        names = [name for name in self.tensors if name.startswith("weights/")]
        return {name.removeprefix("weights/").removeprefix("model."): self.get(name) for name in names}

    def check_all_used(self) -> None:
        """Raise InputError if a recorded tensor was left out: nothing may pass unverified."""
        unknown = sorted(set(self.tensors) - self.used)
        if unknown:
            raise InputError(f"{self.path}: holds {', '.join(unknown)}, which nothing here replays; record it again")


def verify(
    paths: Sequence[Path], *, device: str = "cpu", dtype: str = "float32", tolerance: float | None = None
) -> dict[str, Any]:
    """Relative error ||ours - recorded|| / ||recorded|| of every section of every file; of a prompt 0 or infinite.

    Returns ``files{path{section: relative_error}}, max_relative_error, tolerance, ok``. ``tolerance`` defaults to
    1e-5 in float32 and 2e-2 in bfloat16. Raises InputError for a file that is not such a recording, a
    ``dtype`` other than these two, or a device that is not here.
    """
    if dtype not in TOLERANCES:
        raise InputError(f"dtype {dtype!r}: verification knows {' and '.join(TOLERANCES)}")
    if not paths:
        raise InputError("nothing to verify: name at least one recording")
    limit = TOLERANCES[dtype] if tolerance is None else tolerance
    place = pick_device(device)
    files = {str(path): _verify_file(path, place, getattr(torch, dtype)) for path in paths}
    worst = max(error for sections in files.values() for error in sections.values())
    return {"files": files, "max_relative_error": worst, "tolerance": limit, "ok": worst <= limit}


def relative_error(ours: Tensor, recorded: Tensor) -> float:
    """||ours - recorded|| / ||recorded|| in float64; infinite where either is not finite."""
    recorded = recorded.double().cpu()
    difference = float((ours.double().cpu() - recorded).norm())
    if difference == 0:
        return 0.0
    norm = float(recorded.norm())
    return difference / norm if norm and math.isfinite(difference) else math.inf


@torch.no_grad()
def _verify_file(path: Path, device: torch.device, dtype: torch.dtype) -> dict[str, float]:
    recording, told = _open(path)
    try:
        if isinstance(told, PromptsConfig):
            errors = _prompt_errors(recording, preset(told.preset))
        else:
            model = build(told.transformer(), recording.weights(), str(path))
            model.narrow_(dtype).to(device)
            sections = _sections(model, recording, told)
            errors = {name: relative_error(ours, recording.get(name)) for name, ours in sections}
    except (WeightsError, ValidationError, RuntimeError, IndexError, ValueError) as fault:
        raise InputError(f"{path}: its tensors do not fit together ({str(fault).splitlines()[0]})") from fault
    recording.check_all_used()
    return errors


def _open(path: Path) -> tuple[Recording, RecordingConfig | PromptsConfig]:
    try:
        tensors = {name: tensor.read() for name, tensor in read_safetensors(path).items()}
        told = json.loads(read_header(path).metadata["config"])
        kind = PromptsConfig if "preset" in told else RecordingConfig
        return Recording(path, tensors), kind.model_validate(told)
    except WeightsError as fault:
        raise InputError(str(fault)) from fault
    except (KeyError, TypeError, ValueError) as fault:
        raise InputError(
            f"{path}: its metadata lacks a recording's 'config'; give a recorded reference file"
        ) from fault


def _prompt_errors(recording: Recording, chosen: Preset) -> dict[str, float]:
    """Of every prompt that the reference put together: 0 where ours is the same letter for letter, else infinite."""
    errors = {}
    for name in [name for name in recording.tensors if name.endswith("/prompt")]:
        story, shot, _ = name.split("/")
        told = (recording.text(f"{story}/global_caption"), recording.text(f"{story}/{shot}/caption"))
        ours = chosen.prompt(*told, int(shot.removeprefix("shot")))
        errors[name] = 0.0 if ours == recording.text(name) else math.inf
    if not errors:
        raise ValueError("there is no prompt among them")
    return errors


def _sections(model: Transformer, recording: Recording, config: RecordingConfig) -> Iterator[Section]:
    """Every recorded output's name and what we make of its inputs."""
    timesteps = FlowSchedule(shift=config.timestep_shift).few_step(TIMESTEPS)
    yield "denoising_timesteps", torch.tensor(timesteps)
    yield "plain/flow", _forward(model, recording, "plain", "timestep")
    yield "bidirectional/flow", _forward(model, recording, "bidirectional", "timestep")
    kept = config.context_frames
    frames = recording.get("block_causal/latents").shape[1] - kept
    layout = block_causal(kept, frames, config.chunk)
    yield "block_causal/flow", _forward(model, recording, "block_causal", "timesteps", layout)
    for shot in range(len(recording.get("rollout/captions"))):
        yield from _rollout(model, recording, shot, config.chunk, timesteps)


def _forward(
    model: Transformer, recording: Recording, section: str, times: str, layout: Layout | None = None
) -> Tensor:
    """One whole-sequence pass. The reference's one index per frame is both our shot number and our caption."""
    single = section == "plain"
    index = None if single else recording.get(f"{section}/shot_index").long()
    return model(
        recording.get(f"{section}/latents").to(model.device),
        recording.get(f"{section}/{times}"),
        recording.get(f"{section}/captions")[None].to(model.device),
        caption_index=index,
        shot_index=index,
        layout=layout,
    )


def _rollout(
    model: Transformer, recording: Recording, shot: int, frames: int, timesteps: Sequence[float]
) -> Iterator[Section]:
    """Stream shot ``shot`` in blocks of ``frames`` with the recorded noise; it sees captions 0..shot."""
    name = f"rollout/shot{shot}"
    latents, noise = recording.get(f"{name}/context_latents"), recording.get(f"{name}/noise")
    captions = recording.get("rollout/captions")[: shot + 1].to(model.device)
    kept = latents.shape[1]
    index, own = recording.get(f"{name}/shot_index").long().split([kept, noise.shape[1]])
    context = ContextFrames(
        latents=latents.to(model.device), shot_index=index, captions=captions[None], caption_index=index
    )
    if (own != context.next_shot).any():
        raise InputError(f"{recording.path}: {name}/shot_index: the new shot's is not its last condition frame's + 1")
    streaming = StreamingShot(model, context, max_frames=noise.shape[1])
    yield f"{name}/context_flow", streaming.context_flow
    keys, values = streaming.context_cache.tensors()
    yield f"{name}/context_k_layer0", keys[0]
    yield f"{name}/context_v_last", values[-1]
    streaming.read(captions[None, -1])
    draws = RecordedNoise(noise, recording.get(f"{name}/renoise"), len(timesteps) - 1)
    sampler = partial(few_step, timesteps=timesteps)
    blocks = rollout(
        streaming,
        sampler,
        draws,
        blocks=noise.shape[1] // frames,
        block_shape=(frames, *noise.shape[2:]),
        device=model.device,
    )
    yield f"{name}/x0", torch.cat(list(blocks), dim=1)
