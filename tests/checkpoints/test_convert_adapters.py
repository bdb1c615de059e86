"""Adapters kept apart: what is loaded is what peft would merge, and only onto the weights they were trained on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from shotstream.checkpoints.convert import convert, convert_adapters
from shotstream.checkpoints.model_files import describe_file
from shotstream.checkpoints.transformer_weights import WeightsHeader, load_transformer, read_header, save_transformer
from shotstream.cli.main import main
from shotstream.core.errors import InputError, WeightsError
from shotstream.families.family import preset
from shotstream.families.preset import write_preset
from shotstream.models.transformer import Transformer
from shotstream.training.engine.role_state import add_adapters, export_adapters, with_adapters_added
from shotstream.training.engine.stage import LoraSettings

SETTINGS = LoraSettings(rank=3)
SIZES = {"in_channels": 4, "dim": 24, "ffn_dim": 32, "heads": 2, "layers": 2, "freq_dim": 16, "text_dim": 12}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A teacher, and in ``lora`` the adapters of a student that began as it."""
    whole = preset("storyworld")
    config = whole.transformer.model_copy(update=SIZES)
    geometry = whole.geometry.model_copy(update={"latent_channels": 4})
    write_preset(whole.model_copy(update={"transformer": config, "geometry": geometry}), tmp_path)
    torch.manual_seed(0)
    model = Transformer(config)
    header = WeightsHeader(role="teacher", preset="storyworld", config=config, versions={"autoencoder": "a"})
    save_transformer(model, tmp_path / "teacher.safetensors", header)
    add_adapters(model, SETTINGS)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            nn.init.normal_(parameter, std=0.1)
    export_adapters(model, tmp_path / "lora", SETTINGS)
    torch.save(with_adapters_added(model).state_dict(), tmp_path / "merged.pt")
    return tmp_path


def apart(folder: Path, **options: object) -> Path:
    path = folder / "student.safetensors"
    convert_adapters(folder / "lora", path, base=folder / "teacher.safetensors", **options)
    return path


def test_loaded_it_is_what_peft_merges(folder: Path) -> None:
    path = apart(folder, form=None)
    model, header = load_transformer(path)
    assert header.role == "student" and header.base is not None and header.base.role == "teacher"
    assert header.versions == {"autoencoder": "a"}
    wanted = torch.load(folder / "merged.pt", weights_only=True)
    for name, weight in model.state_dict().items():
        torch.testing.assert_close(weight, wanted[name], rtol=1e-5, atol=1e-6)


def test_in_bytes_it_is_a_fraction_of_the_weights_and_nearly_the_same(folder: Path) -> None:
    path = apart(folder)
    assert path.stat().st_size < (folder / "teacher.safetensors").stat().st_size / 2
    wanted = torch.load(folder / "merged.pt", weights_only=True)
    model, _ = load_transformer(path)
    base, _ = load_transformer(folder / "teacher.safetensors")
    for name, weight in base.state_dict().items():
        moved = (wanted[name] - weight).norm()
        assert (model.state_dict()[name] - wanted[name]).norm() <= 0.02 * moved + 1e-6


def test_converting_it_makes_whole_weights(folder: Path) -> None:
    path = apart(folder, form=None)
    convert(path, folder / "whole.safetensors", named=str(folder / "preset.json"))
    assert read_header(folder / "whole.safetensors").base is None
    whole, adapted = load_transformer(folder / "whole.safetensors")[0], load_transformer(path)[0]
    for name, weight in adapted.state_dict().items():
        torch.testing.assert_close(whole.state_dict()[name], weight)


def test_only_onto_the_weights_they_were_trained_on(folder: Path) -> None:
    path = apart(folder)
    teacher = folder / "teacher.safetensors"
    model, header = load_transformer(teacher)
    with torch.no_grad():
        model.head.head.bias.add_(1)
    save_transformer(model, teacher, header)
    with pytest.raises(WeightsError, match=r"teacher\.safetensors: is \w+, student\.safetensors adds to \w+") as fault:
        load_transformer(path)
    assert "\n" not in str(fault.value)
    teacher.unlink()
    with pytest.raises(WeightsError, match="cannot be read; fetch both again"):
        load_transformer(path)


def test_what_cannot_be_a_base_is_refused(folder: Path) -> None:
    path = apart(folder)
    with pytest.raises(InputError, match="whole weights of another role"):
        convert_adapters(folder / "lora", folder / "critic.safetensors", base=path, role="critic")
    with pytest.raises(InputError, match="copy it there first"):
        convert_adapters(folder / "lora", folder / "lora" / "s.safetensors", base=folder / "teacher.safetensors")
    elsewhere = folder / "mine.safetensors"
    elsewhere.write_bytes((folder / "teacher.safetensors").read_bytes())
    with pytest.raises(InputError, match="looked for as teacher"):
        convert_adapters(folder / "lora", folder / "s.safetensors", base=elsewhere)


def test_whole_weights_are_kept_as_what_they_add(folder: Path) -> None:
    """Adapters of rank 3 merged, in half precision as training leaves them: rank 3 holds all of it."""
    base, student = folder / "teacher.safetensors", folder / "student.safetensors"
    convert(folder / "lora", folder / "whole.safetensors", named=str(folder / "preset.json"), base=base)
    model, header = load_transformer(folder / "whole.safetensors")
    save_transformer(model, folder / "whole.safetensors", header, dtype=torch.float16)
    wanted = torch.load(folder / "merged.pt", weights_only=True)
    done = convert_adapters(folder / "whole.safetensors", student, base=base, rank=3)
    assert done.kept > 0.999 and done.rank == 3
    for name, weight in load_transformer(student)[0].state_dict().items():
        torch.testing.assert_close(weight, wanted[name], rtol=0.02, atol=5e-3)
    cut = convert_adapters(folder / "whole.safetensors", student, base=base, rank=1, force=True)
    assert 0.3 < cut.kept < 0.9


def test_what_no_rank_can_say_is_refused(folder: Path) -> None:
    base, out = folder / "teacher.safetensors", folder / "student.safetensors"
    with pytest.raises(InputError, match="--rank"):
        convert_adapters(base, out, base=base)
    with pytest.raises(InputError, match="nothing to add"):
        convert_adapters(base, out, base=base, rank=2)
    with pytest.raises(InputError, match="leave out --rank"):
        convert_adapters(folder / "lora", out, base=base, rank=2)
    model, header = load_transformer(base)
    with torch.no_grad():
        model.head.head.bias.add_(1)
    save_transformer(model, folder / "other.safetensors", header)
    with pytest.raises(InputError, match=r"head\.head\.bias differs from its base and is no matrix"):
        convert_adapters(folder / "other.safetensors", out, base=base, rank=2)
    assert not out.exists()


def test_peft_folders_convert_to_whole_weights_with_their_base(folder: Path) -> None:
    with pytest.raises(WeightsError, match="--base"):
        convert(folder / "lora", folder / "whole.safetensors", named=str(folder / "preset.json"))
    base = folder / "teacher.safetensors"
    done = convert(folder / "lora", folder / "whole.safetensors", named=str(folder / "preset.json"), base=base)
    assert done.layout == "adapters"
    wanted = torch.load(folder / "merged.pt", weights_only=True)
    torch.testing.assert_close(dict(load_transformer(folder / "whole.safetensors")[0].state_dict()), dict(wanted))


def test_the_command_says_what_it_made(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    command = ["models", "adapt", str(folder / "lora"), str(folder / "student.safetensors")]
    command += ["--base", str(folder / "teacher.safetensors"), "--dtype", "int8"]
    assert main([*command, "--json"]) == 0
    said = json.loads(capfd.readouterr().out)
    assert said["bytes"] == (folder / "student.safetensors").stat().st_size
    assert describe_file(folder / "student.safetensors").kind == "student transformer, added to the teacher"
    assert main(command) == 2 and "--force" in capfd.readouterr().err
