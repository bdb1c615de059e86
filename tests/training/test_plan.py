"""Every packaged recipe resolves and can be planned; the plan's counts are the counts."""

from __future__ import annotations

from pathlib import Path

import pytest

from shotstream.core.errors import InputError
from shotstream.models.transformer import Transformer
from shotstream.training.engine.role_state import add_adapters
from shotstream.training.engine.stage import LoraSettings, OptimiserSettings
from shotstream.training.recipes import NANO, describe, read_recipe, recipe_names
from shotstream.training.run import main, plan, role_plan


@pytest.mark.parametrize("name", recipe_names())
def test_every_packaged_recipe_can_be_planned(name: str) -> None:
    lines = list(plan(read_recipe(name)))
    assert lines
    assert all("\n" not in line for line in lines)


def test_a_dry_run_prints_a_recipe_that_reads_back(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    main("nano/intra-shot", ["loop.updates=7"], dry_run=True, out=tmp_path)
    printed = capsys.readouterr().out
    assert "# critic: 549,184 parameters" in printed and "FLOPs per update" in printed
    path = tmp_path / "again.yaml"
    path.write_text(printed)
    assert describe(read_recipe(str(path))) == describe(read_recipe("nano/intra-shot", ["loop.updates=7"], tmp_path))
    assert not (tmp_path / "nano").exists()


def test_adapters_are_planned_as_they_are_made() -> None:
    settings = OptimiserSettings(kind="adamw", lora=LoraSettings(rank=4))
    model = Transformer(NANO.transformer)
    planned = role_plan(model, settings)
    add_adapters(model, LoraSettings(rank=4))
    assert planned.learning == sum(value.numel() for value in model.parameters() if value.requires_grad)
    assert planned.parameters == sum(value.numel() for value in model.parameters())


def test_a_frozen_network_costs_its_weights_alone() -> None:
    model = Transformer(NANO.transformer)
    assert role_plan(model, None).bytes == 4 * sum(value.numel() for value in model.parameters())


def test_an_unknown_setting_is_one_line() -> None:
    with pytest.raises(InputError, match=r"nano/teacher: unknown setting loop\.update; did you mean updates\?"):
        read_recipe("nano/teacher", ["loop.update=3"])


@pytest.mark.parametrize(("levels", "form"), [(7, "int4"), (127, "int8")])
def test_keys_of_earlier_runs_are_read(levels: int, form: str) -> None:
    now = read_recipe("nano/teacher", [f"optimiser.quantised={form}", "character_weight=0.5"])
    assert read_recipe("nano/teacher", [f"optimiser.levels={levels}", "figure_weight=0.5"]) == now


def test_levels_of_no_name_are_refused() -> None:
    with pytest.raises(InputError, match=r"optimiser\.quantised: "):
        read_recipe("nano/teacher", ["optimiser.levels=31"])
