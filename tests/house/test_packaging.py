"""What the package needs is what it declares; what make installs is pinned."""

from __future__ import annotations

import re
import sys
import tomllib
from importlib.metadata import packages_distributions

from sources import ROOT, imports_of, source_files

import shotstream

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def name_of(requirement: str) -> str:
    """``scikit-learn`` for ``Scikit_Learn>=1``."""
    found = re.match(r"[\w.-]+", requirement)
    assert found, requirement
    return re.sub(r"[-_.]+", "-", found[0]).lower()


EXTRAS = {
    extra: {name_of(item) for item in items} - {"shotstream"}
    for extra, items in PROJECT["optional-dependencies"].items()
}
CORE = {name_of(item) for item in PROJECT["dependencies"]}


def test_every_library_the_sources_import_is_declared() -> None:
    declared = CORE.union(*(names for extra, names in EXTRAS.items() if extra != "dev"))
    homes = packages_distributions()
    missing = {
        f"{path.relative_to(ROOT)}, line {line}: {top}"
        for path in source_files()
        for line, name in imports_of(path)
        if (top := name.split(".")[0]) not in sys.stdlib_module_names and top != "shotstream"
        if not {name_of(home) for home in homes.get(top, [top])} & (declared | {"pydantic-core"})
    }
    assert not missing


def test_everything_that_make_installs_is_pinned() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", pin) for pin in pins)
    needed = CORE.union(*EXTRAS.values())
    assert needed <= {name_of(pin) for pin in pins}


def test_the_version_is_the_same_wherever_it_is_told() -> None:
    """In the package, the citation, and the latest version of the changelog, with its date."""
    cited = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    version, date = (re.search(rf"^{key}: (\S+)$", cited, re.MULTILINE) for key in ("version", "date-released"))
    latest = re.search(r"^## \[(\d\S*)\] - (\S+)$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert PROJECT["dynamic"] == ["version"] and version and date and latest
    assert (version[1], date[1]) == (shotstream.__version__, date[1]) == (latest[1], latest[2])
