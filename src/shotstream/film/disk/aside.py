"""What a long take has made so far, out of memory: its blocks, to be read again, and its footage, encoded as they come.

So the end of a take costs the same however long it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from shotstream.core.files import explained, sync
from shotstream.film.disk.scratch import ScratchFolder
from shotstream.film.disk.store import FootageWriter, TakeStore
from shotstream.sampling.block import Block


class Aside:
    """``blocks``: how many are set aside: the take's first ones."""

    def __init__(self, store: TakeStore) -> None:
        self._scratch = ScratchFolder(store.folder)
        self._file = self._scratch.path / "take.mp4"
        self._writer: FootageWriter | None = FootageWriter(self._file, store.fps)
        self.blocks = 0

    def put(self, block: Block) -> Block:
        """The same block, the next one, with its frames on the disk. Raises :class:`StorageError`; then it is the
        take's to keep, and its footage is written when all is made."""
        path = self._scratch.path / f"{block.index}.npy"
        writer, self._writer = self._writer, None
        with explained(path):
            np.save(path, block.frames)
            if writer is not None and block.index == self.blocks:
                writer.write(block.frames)
                self._writer, self.blocks = writer, self.blocks + 1
        return Block(block.index, np.load(path, mmap_mode="r"))

    def finish(self, rest: Sequence[Block]) -> Path | None:
        """The file with the footage of all blocks, ``rest`` behind those that are set aside; None if it has to be
        written as a whole: it was tried before, and the disk refused. Raises :class:`StorageError`."""
        writer, self._writer = self._writer, None
        if writer is None:
            return None
        with explained(self._file):
            with writer:
                for block in rest:
                    writer.write(block.frames)
            sync(self._file)
        return self._file

    def close(self) -> None:
        """Let go of it all."""
        self._writer = None
        self._scratch.close()
