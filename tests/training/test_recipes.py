"""A stage is one file and one YAML: the toy stage beside this file is found, planned, trained and released."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from shotstream.core.errors import InputError
from shotstream.training import recipes, stages
from shotstream.training.data.material import find_weights
from shotstream.training.recipes import read_recipe, recipe_names, stage_kinds
from shotstream.training.run import main, plan

TOY = Path(__file__).parent / "toy_stage"


@pytest.fixture
def with_toy(monkeypatch: pytest.MonkeyPatch) -> str:
    """The toy's file as if it lay in ``stages/``; the name of its recipe."""
    monkeypatch.setattr(recipes, "_KINDS", dict(stage_kinds()))
    monkeypatch.setattr(stages, "__path__", [*stages.__path__, str(TOY)])
    monkeypatch.delitem(sys.modules, f"{stages.__name__}.line", raising=False)  # imported again, it registers again
    return str(TOY / "line.yaml")


def test_a_stage_of_one_file_and_one_yaml_is_read_planned_and_trained(with_toy: str, tmp_path: Path) -> None:
    assert next(iter(plan(read_recipe(with_toy)))).startswith("line: 4 parameters, 4 learn")
    recipe = tmp_path / "line.yaml"
    recipe.write_text(Path(with_toy).read_text())
    main(str(recipe), ["seed=3"], out=tmp_path)
    (released,) = tmp_path.rglob("line.safetensors")
    torch.testing.assert_close(load_file(released)["weight"], torch.ones(1, 3), atol=0.05, rtol=0)


def test_two_stages_of_one_name_are_refused(with_toy: str) -> None:
    read_recipe(with_toy)

    class Again(recipes.TrainedRecipe):
        stage: str = "line"

    with pytest.raises(ValueError, match="'line' is registered twice"):
        recipes.register(Again)


def test_every_stage_has_a_packaged_recipe() -> None:
    assert {read_recipe(name).stage for name in recipe_names()} == {*stage_kinds(), "pipeline"}


def test_an_unknown_stage_is_one_line_that_lists_the_known(tmp_path: Path) -> None:
    path = tmp_path / "other.yaml"
    path.write_text("stage: other\n")
    with pytest.raises(
        InputError, match=r"other\.yaml: stage 'other' is unknown; use one of autoencoder, .*trajectories"
    ):
        read_recipe(str(path))


def test_packaged_weights_are_begun_from_by_name() -> None:
    assert find_weights("bundled", "teacher").name == "teacher.safetensors"
    assert find_weights("bundled/student", "teacher").name == "student.safetensors"
    with pytest.raises(InputError, match="no such weights"):
        find_weights("bundled/critic", "teacher")
