"""TensorBoard, for those who have it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

log = logging.getLogger(__name__)


class Board(Protocol):
    """Where figures are shown beside the curve."""

    def write(self, update: int, figures: Mapping[str, float]) -> None: ...


class NoBoard:
    """Shows nothing."""

    def write(self, update: int, figures: Mapping[str, float]) -> None: ...


class TensorBoard:
    """Writes event files into ``folder``. Raises ImportError where TensorBoard is not installed."""

    def __init__(self, folder: Path) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(folder))

    def write(self, update: int, figures: Mapping[str, float]) -> None:
        for name, value in figures.items():
            self._writer.add_scalar(name, value, update)


def open_board(folder: Path, wanted: bool) -> Board:
    """A TensorBoard if one is ``wanted`` and installed; said so where it is not."""
    if not wanted:
        return NoBoard()
    try:
        return TensorBoard(folder)
    except ImportError:
        log.warning("TensorBoard is not installed (pip install tensorboard); the curve is in %s/curve.jsonl", folder)
        return NoBoard()
