"""Our transformer is the one diffusers calls WanTransformer3DModel: same names, same sizes, same function."""

from __future__ import annotations

import pytest
import torch
from wan_rig import TINY_WAN, transformer_weights, wan_config

from shotstream.core.errors import WeightsError
from shotstream.families.wan import WAN_1_3B
from shotstream.families.wan_layouts import (
    diffusers_config,
    from_diffusers,
    is_diffusers,
    known_sizes,
    sizes_in,
    to_diffusers,
)
from shotstream.models.config import TransformerConfig
from shotstream.models.transformer import Transformer

diffusers = pytest.importorskip("diffusers")
# Wan's head width and depth enough for one layer to feed another; the rest as narrow as the shape allows.
TWO_LAYERS = TransformerConfig(in_channels=16, dim=256, ffn_dim=320, heads=2, layers=2, text_dim=48)


@pytest.mark.parametrize(("frames", "height", "width"), [(1, 4, 4), (3, 4, 6), (5, 6, 2)])
def test_two_layers_compute_what_diffusers_computes(frames: int, height: int, width: int) -> None:
    torch.manual_seed(0)
    ours = Transformer(TWO_LAYERS).eval()
    torch.nn.init.normal_(ours.head.head.weight, std=0.1)
    theirs = diffusers.WanTransformer3DModel.from_config(diffusers_config(TWO_LAYERS)).eval()
    theirs.load_state_dict({to_diffusers(name): tensor for name, tensor in ours.state_dict().items()})
    latents, captions = torch.randn(2, frames, 16, height, width), torch.randn(2, 7, 48)
    timesteps = torch.tensor([875.0, 12.0])
    with torch.no_grad():
        flow = ours(latents, timesteps, captions[:, None])
        expected = theirs(latents.transpose(1, 2), timesteps, captions).sample.transpose(1, 2)
    assert ((flow - expected).norm() / expected.norm()).item() < 1e-5
    assert (flow - expected).abs().max().item() < 1e-5


def test_names_are_those_of_diffusers_own_converter() -> None:
    from diffusers.loaders.single_file_utils import convert_wan_transformer_to_diffusers

    weights = transformer_weights()
    converted = convert_wan_transformer_to_diffusers(dict(weights))
    assert {to_diffusers(name) for name in weights} == set(converted)
    for name, tensor in weights.items():
        assert converted[to_diffusers(name)] is tensor
        assert from_diffusers(to_diffusers(name)) == name
    assert is_diffusers(converted) and not is_diffusers(weights)
    assert from_diffusers("blocks.0.attn9.to_q.weight") == "blocks.0.attn9.to_q.weight"


def test_shapes_tell_every_size_but_the_heads() -> None:
    with torch.device("meta"):
        shapes = {name: tuple(tensor.shape) for name, tensor in Transformer(WAN_1_3B.transformer).state_dict().items()}
    told = sizes_in(shapes)
    config = WAN_1_3B.transformer.model_dump()
    assert told == {name: config[name] for name in told}
    untold = {"heads", "eps", "rope_theta", "shot_phase", "prediction", "x0_sigma", "caption_padding"}
    assert set(config) - set(told) == untold
    assert sizes_in({"something.weight": (3, 4)}) == {}


def test_configs_of_others_are_understood() -> None:
    config = TINY_WAN.transformer.model_dump()
    for foreign in (wan_config(), diffusers_config(TINY_WAN.transformer)):
        told = known_sizes(foreign)
        assert told["heads"] == 2
        assert told == {name: config[name] for name in told}
    with pytest.raises(WeightsError, match="text-to-video"):
        known_sizes({**wan_config(), "model_type": "i2v"})
    with pytest.raises(WeightsError, match="text-to-video"):
        known_sizes({**diffusers_config(TINY_WAN.transformer), "image_dim": 1280})
