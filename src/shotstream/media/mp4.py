"""Writes films: H.264 in MP4, a chapter per shot, metadata."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import av
import numpy as np

from shotstream.core.errors import InputError
from shotstream.core.files import whole_file
from shotstream.media.h264 import VideoFormat, add_h264_stream, encode
from shotstream.media.provenance import FilmTags, append_mark
from shotstream.media.sound import Sound, SoundTrack

if TYPE_CHECKING:
    from av.container.core import Chapter

# crf 15 is visually clean: on films of the world 42.1 dB of luma, as is preset medium at crf 16, in half its time and a
# sixth more bytes. The same film is the same bytes: one thread, so that cores do not count, and no
# macroblock tree, whose AVX-512 code in x264 gives one of two or three answers from run to run.
_X264 = {"crf": "15", "preset": "veryfast", "threads": "1", "x264-params": "mbtree=0"}


@contextmanager
def write_film(
    path: Path, video: VideoFormat, tags: FilmTags, *, keep_shots: bool = False, sound: Sound | None = None
) -> Iterator[FilmWriter]:
    """Yield a writer; the film appears at ``path``, whole, when the block is left. ``sound``: what is heard with it.

    Left by an error or Ctrl-C, nothing appears; with ``keep_shots`` the finished shots do, if there are any.
    Raises :class:`InputError` for sizes H.264 cannot hold, :class:`StorageError` when the disk refuses.
    """
    if video.width % 2 or video.height % 2:
        raise InputError(f"{path}: {video.width}x{video.height} pixels; H.264 needs even sizes")
    interruption: BaseException | None = None
    with whole_file(path) as temporary:
        writer = FilmWriter(temporary, video, tags, sound)
        try:
            yield writer
        except BaseException as fault:
            if not (keep_shots and writer.shots):
                writer.abandon()
                raise
            interruption = fault
        writer.finish()
        append_mark(temporary, tags)
    if interruption is not None:
        raise interruption


class FilmWriter:
    """Encodes a film shot by shot. Made by :func:`write_film`.

    Frames of a shot are taken one by one: of a long one, those need be in memory that its source holds.
    """

    def __init__(self, path: Path, video: VideoFormat, tags: FilmTags, sound: Sound | None = None) -> None:
        self.video = video
        self.frames = 0
        self._chapters: list[Chapter] = []
        _on_disk(lambda: self._open(path, tags))
        self._sound = None if sound is None else SoundTrack(self._container, sound)

    @property
    def shots(self) -> int:
        """How many shots are finished."""
        return len(self._chapters)

    def add_shot(self, caption: str, frames: Iterable[np.ndarray]) -> None:
        """Append one shot of at least one frame, each uint8 [height, width, 3], RGB. It starts with a key frame and a
        chapter."""
        start = self.frames
        _on_disk(lambda: self._encode(map(self._checked, frames)))
        if self.frames == start:
            raise ValueError("a shot has at least one frame")
        self._chapters.append(
            {
                "id": self.shots,
                "start": start,
                "end": self.frames,
                "time_base": Fraction(1, self.video.fps),
                "metadata": {"title": " ".join(caption.split())[:200]},
            }
        )

    def finish(self) -> None:
        """Write what the encoder still holds, the chapters and the index; close the file."""
        _on_disk(self._close)

    def abandon(self) -> None:
        """Let go of the file. An error is already on its way: a second one, from a full disk, would hide it."""
        with suppress(OSError):
            _on_disk(self._container.close)

    def _open(self, path: Path, tags: FilmTags) -> None:
        # bitexact: no clock in the file either
        flags = {"movflags": "+faststart+use_metadata_tags", "fflags": "+bitexact"}
        self._container = av.open(str(path), "w", format="mp4", options=flags)
        self._container.metadata.update(tags.as_metadata())
        self._stream = add_h264_stream(self._container, self.video, _X264)

    def _checked(self, frame: np.ndarray) -> np.ndarray:
        expected = (self.video.height, self.video.width, 3)
        if frame.dtype != np.uint8 or frame.shape != expected:
            raise ValueError(f"a frame is {frame.dtype} {list(frame.shape)}; this film takes uint8 {list(expected)}")
        return frame

    def _encode(self, frames: Iterable[np.ndarray]) -> None:
        for packets in encode(self._stream, frames, self.frames, self.video.fps):
            self._container.mux(packets)
            self.frames += 1
            if self._sound is not None:
                self._sound.write_until(self.frames / self.video.fps)

    def _close(self) -> None:
        if self._sound is not None:
            self._sound.finish()
        self._container.mux(self._stream.encode(None))
        self._container.set_chapters(self._chapters)
        self._container.close()


def _on_disk(work: Callable[[], None]) -> None:
    """Do ``work``; what FFmpeg raises for a disk that refuses becomes the system's own error."""
    try:
        work()
    except av.FFmpegError as fault:
        raise OSError(fault.errno, fault.strerror) from fault
