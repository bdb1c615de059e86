"""Finds families and presets: every module here with a ``FAMILY``."""

from __future__ import annotations

import pkgutil
from importlib import import_module

from shotstream.core.errors import InputError
from shotstream.families.family import Family
from shotstream.families.preset import Preset


def known_families() -> tuple[Family, ...]:
    """The families whose modules lie in this folder, by name."""
    package = __name__.rpartition(".")[0]
    names = [one.name for one in pkgutil.iter_modules(import_module(package).__path__)]
    modules = (import_module(f"{package}.{name}") for name in names)
    found = [family for module in modules if isinstance(family := vars(module).get("FAMILY"), Family)]
    return tuple(sorted(found, key=lambda family: family.name))


def known_presets() -> dict[str, Preset]:
    """The presets of all families, by name."""
    return {preset.name: preset for family in known_families() for preset in family.presets}


def preset(name: str) -> Preset:
    """The preset called ``name``; raises InputError that lists the known ones."""
    known = known_presets()
    if name not in known:
        raise InputError(f"no preset is called {name!r}; known: {', '.join(known)}")
    return known[name]


def family_of(name: str) -> Family | None:
    """The family one of whose presets is called ``name``."""
    return next((one for one in known_families() if any(preset.name == name for preset in one.presets)), None)
