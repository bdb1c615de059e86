"""A network taken over to other latents reads and writes them as it did the old ones, where one tells the other."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from shotstream.core.errors import InputError
from shotstream.models.config import TransformerConfig
from shotstream.models.transformer import Transformer
from shotstream.training.stages.teacher import refit

OLD = TransformerConfig(in_channels=4, dim=32, ffn_dim=64, heads=2, layers=1, text_dim=8, prediction="x0")
NEW = OLD.model_copy(update={"in_channels": 6})


class Linear:
    """Latents that are an affine map of a cell's mean colours and edges."""

    def __init__(self, matrix: Tensor, bias: Tensor) -> None:
        self.matrix, self.bias = matrix, bias

    def encode_images(self, images: Tensor) -> Tensor:
        cells = images.unfold(2, 4, 4).unfold(3, 4, 4).flatten(4)  # [N, 3, h, w, 16]
        seen = torch.cat([cells.mean(-1), cells[..., 0] - cells[..., -1]], 1)  # [N, 6, h, w]
        return torch.einsum("oc,nchw->nohw", self.matrix, seen) + self.bias[:, None, None]


@pytest.fixture(scope="module")
def pictures() -> Tensor:
    return torch.rand(40, 3, 16, 24, generator=torch.Generator().manual_seed(1)) * 2 - 1


def networks(config: TransformerConfig = NEW) -> tuple[Transformer, Transformer]:
    torch.manual_seed(0)
    known = Transformer(OLD)
    torch.nn.init.normal_(known.head.head.weight, std=0.1)
    torch.nn.init.normal_(known.patch_embedding.bias)
    return Transformer(config), known


def test_what_the_old_latents_say_is_read_and_written_in_the_new_ones(pictures: Tensor) -> None:
    draw = torch.Generator().manual_seed(2)
    new = Linear(torch.randn(6, 6, generator=draw), torch.randn(6, generator=draw))
    old = Linear(torch.randn(4, 6, generator=draw), torch.randn(4, generator=draw))
    model, known = networks()
    assert refit(model, known, old, new, pictures) > 0.999  # type: ignore[arg-type]
    latents = [codec.encode_images(pictures[:2])[:, None] for codec in (old, new)]  # [2, 1, C, 4, 6]
    torch.testing.assert_close(
        model.patch_embedding(latents[1]), known.patch_embedding(latents[0]), rtol=1e-3, atol=1e-3
    )
    assert torch.equal(model.state_dict()["blocks.0.ffn.0.weight"], known.state_dict()["blocks.0.ffn.0.weight"])


def test_latents_that_are_the_old_ones_turned_round_lose_nothing(pictures: Tensor) -> None:
    draw = torch.Generator().manual_seed(3)
    old = Linear(torch.randn(4, 6, generator=draw), torch.zeros(4))
    turn, shift = torch.linalg.qr(torch.randn(4, 4, generator=draw))[0], torch.randn(4, generator=draw)
    new = Linear(turn @ old.matrix, shift)
    model, known = networks(OLD)
    refit(model, known, old, new, pictures)  # type: ignore[arg-type]
    captions = torch.randn(1, 1, 3, 8, generator=draw)
    clean = torch.zeros(1)
    before, after = (codec.encode_images(pictures[:1])[:, None] for codec in (old, new))
    # At timestep 0 a flow leads from the latents to x0 over the smallest sigma: compare the x0 it leads to.
    least = OLD.x0_sigma
    x0_before = before - least * known(before, clean, captions)
    x0_after = after - least * model(after, clean, captions)
    expected = torch.einsum("oc,bfchw->bfohw", turn, x0_before) + shift[:, None, None]
    torch.testing.assert_close(x0_after, expected, rtol=1e-3, atol=1e-3)


def test_other_sizes_and_other_predictions_are_refused(pictures: Tensor) -> None:
    codec = Linear(torch.eye(6), torch.zeros(6))
    _, known = networks()
    for changes, said in (({"dim": 64}, "other sizes"), ({"layers": 2}, "other sizes")):
        with pytest.raises(InputError, match=said):
            refit(Transformer(NEW.model_copy(update=changes)), known, codec, codec, pictures)  # type: ignore[arg-type]
    flow = NEW.model_copy(update={"prediction": "flow"})
    with pytest.raises(InputError, match="predicts x0"):
        refit(Transformer(flow), Transformer(OLD.model_copy(update={"prediction": "flow"})), codec, codec, pictures)  # type: ignore[arg-type]
