"""The measures of the package's structure count what they say they count."""

from __future__ import annotations

from pathlib import Path

import measures
from sources import PACKAGE


def test_circles_are_groups_that_import_each_other() -> None:
    imports = {"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a", "e"}, "e": set(), "f": {"g"}, "g": {"f"}}
    frozen = {name: frozenset(names) for name, names in imports.items()}
    assert measures.circles(frozen) == [["a", "b", "c"], ["f", "g"]]


def test_a_small_package_is_measured(tmp_path: Path) -> None:
    package = tmp_path / "shotstream"
    (package / "core").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "core" / "__init__.py").write_text("")
    (package / "core" / "one.py").write_text('"""Not the euler sampler."""\nKIND = "euler"\n\ndef f():\n    return 1\n')
    (package / "api.py").write_text("def g():\n    from shotstream.core import one\n    return one.f()\n")
    found = measures.measure(package)
    assert (found["files"], found["lines"], found["import circles"]) == ("2", "8", "0")
    assert found["modules with one importer, under 60 lines"] == "1"
    assert found["longest file, lines"] == "5 (core.one)"
    assert found["files that name the euler sampler"] == "1"
    assert (found["lines in core"], found["lines in api"]) == ("5", "3")


def test_no_modules_import_each_other_in_a_circle() -> None:
    found = measures.modules(PACKAGE)
    assert measures.circles({module.name: module.imports for module in found.values()}) == []


def test_recipes_touch_few_files() -> None:
    assert measures.recipes() == {
        "Add a sampler": 1,
        "Add a training stage": 2,  # the stage, and its recipe
        "Add a model family": 1,
        "Add an export format": 1,
        "Add a measure": 2,  # how it is measured, and how it is shown
    }
