"""The packaged weights carry checksums, and belong together."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from shotstream.checkpoints.safetensors_file import read_header, read_safetensors
from shotstream.checkpoints.transformer_weights import read_header as read_own_header
from shotstream.core.errors import WeightsError
from shotstream.core.files import fingerprint
from shotstream.families.storyworld import BUNDLED

FILES = sorted(BUNDLED.glob("*.safetensors"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_flipped_bit_anywhere_is_noticed(path: Path, tmp_path: Path) -> None:
    """In the header's text, and at the beginning, in the middle and at the end of the numbers."""
    copy = tmp_path / path.name
    shutil.copy(path, copy)
    read_safetensors(copy)
    header, size = read_header(path), path.stat().st_size
    for at in (header.data // 2, header.data, (header.data + size) // 2, size - 1):
        with copy.open("r+b") as file:
            file.seek(at)
            byte = file.read(1)[0]
            file.seek(at)
            file.write(bytes([byte ^ 4]))
            file.flush()
            with pytest.raises(WeightsError, match=r"is damaged|not a readable safetensors"):
                read_safetensors(copy)
            file.seek(at)
            file.write(bytes([byte]))
    read_safetensors(copy)


def test_they_belong_together() -> None:
    assert {path.stem for path in FILES} >= {"autoencoder", "recognisers", "student", "teacher", "text_encoder"}
    for role in ("teacher", "student"):
        header = read_own_header(BUNDLED / f"{role}.safetensors")
        assert header.versions == {
            name: fingerprint(BUNDLED / f"{name}.safetensors") for name in ("autoencoder", "text_encoder")
        }
        assert header.base is None or header.base.fingerprint == fingerprint(
            BUNDLED / f"{header.base.role}.safetensors"
        )
