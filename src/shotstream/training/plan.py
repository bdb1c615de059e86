"""What a recipe will cost before it is run: parameters per role, memory of one device, floating-point operations.

FLOPs count the products of the transformer (2 per multiply-add; backward twice the forward), not the norms, and
not the caption's keys and values. Activations are a rule of thumb. What a device must hold besides (latents, codec)
is small beside these.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import nn

from shotstream.codecs.video_autoencoder import Decoder, VideoAutoencoder, VideoAutoencoderConfig
from shotstream.data.recognition.network import Recogniser
from shotstream.models.flops import key_value_bytes
from shotstream.models.presets import Preset
from shotstream.models.transformer import Transformer
from shotstream.training.flops import shot_flops
from shotstream.training.optimisers import is_matrix
from shotstream.training.pipeline import PipelineRecipe
from shotstream.training.presets import training_preset
from shotstream.training.processes import check_parts
from shotstream.training.recipes import Recipe
from shotstream.training.settings import OptimiserSettings
from shotstream.training.stages.autoencoder import AutoencoderRecipe
from shotstream.training.stages.guidance import GuidanceRecipe
from shotstream.training.stages.inter_shot import InterShotRecipe
from shotstream.training.stages.intra_shot import IntraShotRecipe
from shotstream.training.stages.light_decoder import LightDecoderRecipe, light_config
from shotstream.training.stages.recognisers import RecognisersRecipe
from shotstream.training.stages.teacher import TeacherRecipe
from shotstream.training.stages.text_encoder import Reader, TextEncoderRecipe
from shotstream.training.stages.trajectories import TrajectoriesRecipe

FLOAT, NARROW = 4, 2  # bytes


@dataclass(frozen=True)
class RolePlan:
    """Parameters of one network, how many of them learn, and the bytes it takes."""

    parameters: int
    learning: int
    bytes: int


def plan(recipe: Recipe, devices: int | None = None) -> Iterator[str]:
    """Lines for a person. Nothing is loaded, drawn or allocated.

    devices: how many processes, one device each; None is 8 for a recipe that shards (as published), else 1. Raises
    :class:`InputError` if the recipe's parts cannot be shared by so many.
    """
    if isinstance(recipe, PipelineRecipe):
        yield from (f"step {place}: {step}" for place, step in enumerate(recipe.steps))
        return
    loop = None if isinstance(recipe, TrajectoriesRecipe) else recipe.loop
    sharded = loop is not None and loop.sharded
    devices = devices or (8 if sharded else 1)
    if loop is not None:
        check_parts(loop.accumulate, devices)
    total = 0
    for name, (module, optimiser) in _networks(recipe).items():
        role = role_plan(module, optimiser, devices if sharded else 1)
        total += role.bytes
        yield f"{name}: {role.parameters:,} parameters, {role.learning:,} learn; {_size(role.bytes)}"
    where = "one device" if devices == 1 else f"each of {devices} devices{', in shards' if sharded else ''}"
    yield f"memory of {where} without activations: {_size(total)} (weights, gradients, optimiser, average)"
    if isinstance(recipe, AutoencoderRecipe | TextEncoderRecipe | RecognisersRecipe | LightDecoderRecipe):
        return
    preset = training_preset(recipe)
    batch, frames = _shape(recipe)
    kept = _activations(preset, batch, frames, checkpointed=loop is not None and loop.checkpoint_activations)
    if isinstance(recipe, IntraShotRecipe | InterShotRecipe):
        tokens = batch * (preset.geometry.context_frames + frames) * preset.geometry.tokens_per_frame
        kept += key_value_bytes(preset.transformer, tokens, 2)
    yield f"activations at most about {_size(kept)} (batch {batch}, {frames} frames)"
    yield f"together at most about {_size(total + kept)} on a device"
    flops, times = shot_flops(recipe, preset)
    unit = "pair" if isinstance(recipe, TrajectoriesRecipe) else "update"
    yield f"compute: {flops:.3g} FLOPs per {unit}, {flops * times:.3g} in all ({times} {unit}s)"


def role_plan(module: nn.Module, optimiser: OptimiserSettings | None, shards: int = 1) -> RolePlan:
    """Bytes of weights, and for a learning role of gradients, optimiser state and average; None is frozen.

    In ``shards``, a device holds its share of these, and during an update besides all weights as they are used (the
    products in half precision) and the sum of its gradients, which meet those of the others at the end.
    """
    sizes = {name: parameter.numel() for name, parameter in module.named_parameters()}
    parameters = sum(sizes.values())
    if optimiser is None:
        return RolePlan(parameters, 0, FLOAT * parameters)
    learning = {name: size for name, size in sizes.items() if module.get_parameter(name).requires_grad}
    if optimiser.lora:
        rank = optimiser.lora.rank
        adapted = {
            name: rank * (part.in_features + part.out_features)
            for name, part in module.named_modules()
            if isinstance(part, nn.Linear) and "blocks." in name
        }
        learning, parameters = adapted, parameters + sum(adapted.values())
    moments = sum(size * _moments(module, name, optimiser) for name, size in learning.items())
    learns = sum(learning.values())
    bytes_ = FLOAT * (parameters + 2 * learns + moments)
    if shards > 1:
        bytes_ = bytes_ // shards + _gathered(module, parameters) + FLOAT * learns
    return RolePlan(parameters, learns, bytes_)


def _gathered(module: nn.Module, parameters: int) -> int:
    """Bytes of all weights as an update uses them: products in half precision, the rest in float32."""
    assert isinstance(module, Transformer)
    products = module.product_names()
    wide = sum(parameter.numel() for name, parameter in module.named_parameters() if name not in products)
    return NARROW * (parameters - wide) + FLOAT * wide


def _moments(module: nn.Module, name: str, optimiser: OptimiserSettings) -> int:
    """Numbers the optimiser keeps per parameter: Muon one, AdamW two."""
    if optimiser.kind == "adamw":
        return 2
    return 1 if optimiser.lora or is_matrix(name, module.get_parameter(name)) else 2


def _networks(recipe: Recipe) -> Mapping[str, tuple[nn.Module, OptimiserSettings | None]]:
    """Role to network (without storage) and optimiser; None for a frozen one."""
    with torch.device("meta"):
        if isinstance(recipe, AutoencoderRecipe):
            return {"autoencoder": (VideoAutoencoder(recipe.autoencoder), recipe.optimiser)}
        if isinstance(recipe, TextEncoderRecipe):
            return {"reader": (Reader(recipe.encoder), recipe.optimiser)}
        if isinstance(recipe, RecognisersRecipe):
            return {"recognisers": (Recogniser(recipe.network), recipe.optimiser)}
        if isinstance(recipe, LightDecoderRecipe):
            channels = training_preset(recipe).geometry.latent_channels
            decoder = Decoder(light_config(VideoAutoencoderConfig(latent_channels=channels), recipe))
            return {"decoder": (decoder, recipe.optimiser)}
        if isinstance(recipe, PipelineRecipe):
            return {}
        network = Transformer(training_preset(recipe).transformer)
    if isinstance(recipe, IntraShotRecipe | InterShotRecipe):
        return {"teacher": (network, None), "student": (network, recipe.student), "critic": (network, recipe.critic)}
    if isinstance(recipe, TrajectoriesRecipe):
        return {"teacher": (network, None)}
    if isinstance(recipe, TeacherRecipe):
        if recipe.trained == "self-attention":
            for name, parameter in network.named_parameters():
                parameter.requires_grad_(".self_attn." in name)
        return {"teacher": (network, recipe.optimiser)}
    if isinstance(recipe, GuidanceRecipe):
        return {"guided": (network, None), "student": (network, recipe.optimiser)}
    return {"student": (network, recipe.optimiser)}


def _shape(recipe: Recipe) -> tuple[int, int]:
    """(batch, latent frames) of the largest update."""
    if isinstance(recipe, InterShotRecipe):
        return recipe.batch, max(recipe.lengths)
    others = PipelineRecipe | AutoencoderRecipe | TextEncoderRecipe | RecognisersRecipe | LightDecoderRecipe
    assert not isinstance(recipe, others)
    return recipe.samples.batch, max(recipe.samples.lengths)


def _activations(preset: Preset, batch: int, frames: int, *, checkpointed: bool) -> int:
    """Bytes kept for one backward pass: some ten widths and two hidden widths per token and layer, half precision;
    checkpointed, that of one layer, and of every other what enters it, in float32."""
    config, geometry = preset.transformer, preset.geometry
    tokens = batch * (geometry.context_frames + frames) * geometry.tokens_per_frame
    layer = NARROW * tokens * (10 * config.dim + 2 * config.ffn_dim)
    return layer + config.layers * FLOAT * tokens * config.dim if checkpointed else config.layers * layer


def _size(count: float) -> str:
    """Bytes in words."""
    for unit in ("B", "KB", "MB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} GB"
