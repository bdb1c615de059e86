"""The footage of finished takes: one file each, on disk rather than in memory; lossless, each frame readable alone.

H.264 in its lossless RGB profile, key frames only, in an MP4: any FFmpeg-based player shows it, and what is read back
is the same uint8 numbers. Frames condition later shots, so "nearly the same" would not do.
"""

from __future__ import annotations

import zlib
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.stream import VideoStream

from shotstream.core.errors import InputError
from shotstream.core.files import explained, sync, whole_file
from shotstream.film.disk.scratch import ScratchFolder
from shotstream.film.record.film_record import FilmRecord, TakeRecord
from shotstream.sampling.block import Block

_LOSSLESS = {"qp": "0", "preset": "ultrafast", "g": "1", "threads": "1"}
Footage = tuple[av.container.InputContainer, VideoStream]


def write_footage(path: Path, blocks: Iterable[np.ndarray], fps: int) -> None:
    """Write blocks of uint8 [t, height, width, 3] RGB to ``path``, whole or not, one after the other. Raises
    :class:`StorageError`."""
    with whole_file(path) as temporary, FootageWriter(temporary, fps) as writer:
        for block in blocks:
            writer.write(block)


class FootageWriter:
    """Writes footage to ``path``, block after block; the file can be read once it is closed, if it has any. Raises
    OSError."""

    def __init__(self, path: Path, fps: int) -> None:
        self._fps, self._frames = fps, 0
        self._container = av.open(str(path), "w", format="mp4")
        self._stream = self._container.add_stream("libx264rgb", rate=fps, options=_LOSSLESS)
        self._stream.pix_fmt = "rgb24"
        self._stream.codec_context.time_base = Fraction(1, fps)

    def write(self, block: Iterable[np.ndarray]) -> None:
        """Append frames, each uint8 [height, width, 3] RGB."""
        with _of_the_system():
            for picture in block:
                if not self._frames:
                    self._stream.height, self._stream.width = picture.shape[:2]
                frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
                frame.pts, frame.time_base = self._frames, Fraction(1, self._fps)
                self._container.mux(self._stream.encode(frame))
                self._frames += 1

    def close(self) -> None:
        """Write what is left, and the index."""
        with _of_the_system(), self._container:
            if self._frames:
                self._container.mux(self._stream.encode(None))

    def __enter__(self) -> FootageWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, trace: object) -> None:
        if kind is None:
            return self.close()
        with suppress(OSError, av.FFmpegError):  # the first fault is on its way
            self._container.close()


@contextmanager
def _of_the_system() -> Iterator[None]:
    """What FFmpeg raises for a disk that refuses becomes the system's own error."""
    try:
        yield
    except av.FFmpegError as fault:
        raise OSError(fault.errno, fault.strerror) from fault


def read_footage(path: Path, shape: tuple[int, int, int], indices: Iterable[int] | None = None) -> np.ndarray:
    """Frames ``indices`` (None: all) of footage of ``shape`` (frames, height, width): uint8 [n, height, width, 3].

    Only the frames asked for are decoded. Raises :class:`InputError` if the file is not that footage.
    """
    wanted = list(range(shape[0])) if indices is None else list(indices)
    found = dict(stream_footage(path, shape, wanted))
    return np.stack([found[index] for index in wanted])


def stream_footage(
    path: Path, shape: tuple[int, int, int], indices: Iterable[int] | None = None
) -> Iterator[tuple[int, np.ndarray]]:
    """As :func:`read_footage`, but one frame after the other, in the film's order, with its number; so that a long
    take needs no more room than a short one."""
    missing = set(range(shape[0]) if indices is None else indices)
    with _opened(path, shape) as (container, stream):
        if (first := min(missing, default=0)) and stream.time_base and stream.average_rate:
            container.seek(round(first / stream.average_rate / stream.time_base), stream=stream)  # each is a key frame
        for packet in container.demux(stream):
            if not missing:
                break
            if packet.pts is not None and _index(packet.pts, stream) not in missing:
                continue
            for frame in packet.decode():
                index = _index(frame.pts, stream)
                if index in missing:
                    missing.discard(index)
                    yield index, _pixels(path, frame, shape)
    if missing:
        raise InputError(f"{path.name}: damaged footage (frames are missing); fetch the film again")


def check_footage(path: Path, shape: tuple[int, int, int]) -> None:
    """Refuse a file whose header is not that of footage of ``shape`` (frames, height, width), without decoding it.

    Raises :class:`InputError`.
    """
    with _opened(path, shape):
        pass


def checksum(path: Path) -> str:
    """CRC-32 of the file, in hex: the one a zip states, quick enough to ask of a whole film. Raises OSError."""
    sum = 0
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            sum = zlib.crc32(piece, sum)
    return f"{sum:08x}"


@contextmanager
def _opened(path: Path, shape: tuple[int, int, int]) -> Iterator[Footage]:
    """Container and stream, checked before anything is decoded; memory is bounded by ``shape``."""
    try:
        with av.open(f"file:{path}", format="mp4") as container:  # a name with a colon is no address
            streams = container.streams.video
            codec = streams[0].codec_context if streams else None  # None: FFmpeg does not know it
            if len(container.streams) != 1 or codec is None or codec.name != "h264":
                raise InputError(f"{path.name}: not footage; a take is one lossless H.264 track")
            stream = streams[0]
            if (stream.frames, stream.height, stream.width) != shape:
                said = f"{stream.frames} frames of {stream.width}x{stream.height}"
                raise InputError(
                    f"{path.name}: holds {said}, not {shape[0]} of {shape[2]}x{shape[1]}; fetch the film again"
                )
            stream.codec_context.options = {"max_pixels": str(4 * shape[1] * shape[2])}
            stream.codec_context.thread_count = 1
            yield container, stream
    except av.FFmpegError as fault:
        raise InputError(f"{path.name}: damaged footage ({fault.strerror}); fetch the film again") from fault


def _index(pts: int | None, stream: VideoStream) -> int:
    """Number of the frame shown at ``pts``."""
    return -1 if pts is None or stream.time_base is None else round(pts * stream.time_base * (stream.average_rate or 0))


def _pixels(path: Path, frame: av.VideoFrame, shape: tuple[int, int, int]) -> np.ndarray:
    if (frame.height, frame.width) != shape[1:]:
        raise InputError(
            f"{path.name}: damaged footage (a frame of {frame.width}x{frame.height}); fetch the film again"
        )
    return frame.to_ndarray(format="rgb24")


class TakeStore:
    """The footage of one open film, in ``folder``, which stays; or in a temporary one that goes when the film does."""

    def __init__(self, height: int, width: int, fps: int, folder: Path | None = None) -> None:
        self.height, self.width, self.fps = height, width, fps
        self.token = object()  # no other store ever has it, even if one is opened on this folder again
        self._scratch = ScratchFolder() if folder is None else None
        self.folder = folder or self._takes_of_scratch()

    def _takes_of_scratch(self) -> Path:
        assert self._scratch is not None
        takes = self._scratch.path / "takes"
        takes.mkdir()
        return takes

    @classmethod
    def of(cls, record: FilmRecord, folder: Path | None = None) -> TakeStore:
        """A store for takes of ``record``'s size."""
        return cls(record.height, record.width, record.fps, folder)

    def file(self, footage: int) -> Path:
        """The file of footage number ``footage``."""
        return self.folder / f"{footage:05d}.mp4"

    def path(self, take: TakeRecord) -> Path:
        """The footage file of ``take``; it exists once :meth:`add` has returned."""
        return self.file(take.footage)

    def shape(self, take: TakeRecord) -> tuple[int, int, int]:
        """(frames, height, width) of ``take``."""
        return (take.frames, self.height, self.width)

    def add(self, id: int, blocks: Sequence[np.ndarray], begun: Path | None = None) -> str:
        """Keep blocks of uint8 [t, height, width, 3] as the footage of take ``id``; returns the file's checksum.

        begun: a file on the same disk that holds them already, and is synced. Raises :class:`StorageError`.
        """
        for frames in blocks:
            if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[1:] != (self.height, self.width, 3):
                raise ValueError(f"take {id}: a block is {frames.dtype} {frames.shape}, not {self.height}x{self.width}")
        if begun is None:
            write_footage(self.file(id), blocks, self.fps)
        else:
            self.adopt(id, begun)
        with explained(self.file(id)):
            return checksum(self.file(id))

    def adopt(self, id: int, file: Path) -> None:
        """Keep ``file``, which is on the same disk, as the footage of take ``id``. Raises :class:`StorageError`."""
        with explained(self.file(id)):
            file.replace(self.file(id))
            sync(self.folder)

    def frames(self, take: TakeRecord, indices: Iterable[int] | None = None) -> np.ndarray:
        """Frames ``indices`` (None: all) of ``take``: uint8 [n, height, width, 3]."""
        return read_footage(self.path(take), self.shape(take), indices)

    def stream(self, take: TakeRecord) -> Iterator[np.ndarray]:
        """Every frame of ``take``, in order, uint8 [height, width, 3]: one is in memory at a time."""
        return (pixels for _, pixels in stream_footage(self.path(take), self.shape(take)))

    def keep_only(self, footage: Collection[int]) -> int:
        """Remove every other footage, and what no film knows; returns the bytes that are free now.

        Raises :class:`StorageError`.
        """
        kept = {self.file(number).name for number in footage}
        freed = 0
        with explained(self.folder):
            for file in self.folder.iterdir():
                if file.name not in kept and file.is_file():
                    freed += file.stat().st_size
                    file.unlink()
        return freed

    def close(self) -> None:
        """Remove the folder and everything in it, if it is a temporary one."""
        if self._scratch is not None:
            self._scratch.close()


class Aside:
    """What a long take has made so far, on disk: its blocks, to be read again, and its footage, encoded as they come.
    So the end of a take costs the same however long it is. ``blocks``: how many there are, the take's first ones."""

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
