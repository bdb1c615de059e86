"""``shotstream train``: run a recipe, or go on with one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from shotstream.core.errors import InputError


def train(
    recipe: Annotated[
        str, typer.Argument(help="A shipped recipe's name (storyworld/teacher) or a path.", metavar="RECIPE")
    ],
    overrides: Annotated[
        list[str] | None, typer.Argument(help="Changed settings: key=value.", metavar="KEY=VALUE")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the resolved recipe and stop.")] = False,
    devices: Annotated[
        int | None, typer.Option(min=1, help="With --dry-run: how many devices to plan for.", metavar="N")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for runs and the data they make.", metavar="DIR")] = Path(
        "build/train"
    ),
) -> None:
    """Train by a recipe. The same command goes on where it was interrupted."""
    for override in overrides or []:
        if "=" not in override:
            raise InputError(f"{override}: a changed setting looks like key=value")
    from shotstream.training.run import main

    main(recipe, overrides or [], dry_run=dry_run, devices=devices, out=out)
