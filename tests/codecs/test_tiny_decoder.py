"""The light decoder: the published layout's names, and pieces that decode to the whole."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from wan_rig import tiny_decoder_weights

from shotstream.checkpoints.codec_weights import READER
from shotstream.codecs.protocols import StreamDecoder
from shotstream.codecs.tiny_decoder import TinyDecoder, TinyNetwork, rebuilt
from shotstream.core.errors import WeightsError

CPU = torch.device("cpu")


def frame_by_frame(state: dict[str, Tensor], latents: Tensor) -> Tensor:
    """The decoder as its description reads, one frame after the other, depth first: [F, C, h, w] -> [T, 3, H, W]."""
    past: dict[int, Tensor] = {}

    def conv(x: Tensor, name: str) -> Tensor:
        weight = state[f"decoder.{name}.weight"]
        return F.conv2d(x, weight, state.get(f"decoder.{name}.bias"), padding=weight.shape[-1] // 2)

    def remember(x: Tensor, block: int) -> Tensor:
        both = torch.cat([x, past.get(block, torch.zeros_like(x))], dim=1)
        past[block] = x
        return F.relu(
            conv(F.relu(conv(F.relu(conv(both, f"{block}.conv.0")), f"{block}.conv.2")), f"{block}.conv.4") + x
        )

    def scale(x: Tensor, first: int, times: int) -> list[Tensor]:
        for block in range(first, first + 3):
            x = remember(x, block)
        x = conv(F.interpolate(x, scale_factor=2), f"{first + 4}.conv")
        return [conv(one, str(first + 5)) for one in x.chunk(times, dim=1)]

    shown = []
    for frame in latents:
        x = F.relu(conv(3 * torch.tanh(frame[None] / 3), "1"))
        for coarse in scale(x, 3, 1):
            for middle in scale(coarse, 9, 2):
                for fine in scale(middle, 15, 2):
                    shown.append(conv(F.relu(fine), "22"))
    return torch.cat(shown)[3:].clamp(0, 1) * 2 - 1


def load(path: Path, dtype: torch.dtype) -> TinyNetwork:
    network, tensors = rebuilt(READER.tensors(path), str(path))
    READER.check(network, tensors, str(path))
    network.load_state_dict(tensors)
    return network.to(CPU, dtype).eval().requires_grad_(False)


@pytest.fixture
def network(tmp_path: Path) -> TinyNetwork:
    torch.save(tiny_decoder_weights(), tmp_path / "taew2_1.pth")
    return load(tmp_path / "taew2_1.pth", torch.float32)


@pytest.mark.parametrize("pieces", [[5], [3, 2], [1, 1, 3]])
def test_any_pieces_decode_to_the_description_read_frame_by_frame(network: TinyNetwork, pieces: list[int]) -> None:
    latents = torch.randn(2, sum(pieces), 16, 3, 5, generator=torch.Generator().manual_seed(1))
    decoder = TinyDecoder(network)
    assert isinstance(decoder, StreamDecoder)
    pushed = [decoder.push(piece) for piece in latents.split(pieces, dim=1)]
    assert [one.shape[1] for one in pushed] == [4 * n - (3 if index == 0 else 0) for index, n in enumerate(pieces)]
    expected = torch.stack([frame_by_frame(tiny_decoder_weights(), sample) for sample in latents])
    torch.testing.assert_close(torch.cat(pushed, dim=1), expected, atol=1e-5, rtol=1e-5)
    assert expected.shape[-2:] == (24, 40) and expected.std() > 0.05


def test_the_published_sizes_fit_the_published_names(tmp_path: Path) -> None:
    torch.save(tiny_decoder_weights((256, 128, 64, 64)), tmp_path / "taew2_1.pth")
    network = load(tmp_path / "taew2_1.pth", torch.bfloat16)
    assert sum(parameter.numel() for parameter in network.parameters()) == 9_844_611
    assert next(network.parameters()).dtype == torch.bfloat16


def test_growth_into_more_frames_than_needed_keeps_the_last(network: TinyNetwork, tmp_path: Path) -> None:
    state = tiny_decoder_weights()
    grown = state["decoder.7.conv.weight"]
    state["decoder.7.conv.weight"] = torch.cat([torch.randn_like(grown), grown])
    torch.save(state, tmp_path / "x.pth")
    other = load(tmp_path / "x.pth", torch.float32)
    latents = torch.randn(1, 2, 16, 2, 2)
    assert torch.equal(TinyDecoder(other).push(latents), TinyDecoder(network).push(latents))


class Hostile:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


def test_other_files_are_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "x.pth"
    with pytest.raises(WeightsError, match="no such file"):
        load(path, torch.float32)
    missing = tiny_decoder_weights()
    del missing["decoder.4.conv.2.bias"]
    for content, said in (
        ({"decoder.w": torch.zeros(1)}, "not a decoder in TAEHV's layout"),
        (missing, r"missing 4\.conv\.2\.bias"),
        ({"decoder.x": Hostile(tmp_path / "ran")}, "holds more than tensors"),
        ([1, 2], "holds list, not tensors"),
    ):
        torch.save(content, path)
        with pytest.raises(WeightsError, match=said) as caught:
            load(path, torch.float32)
        assert "\n" not in str(caught.value)
    assert not (tmp_path / "ran").exists()
