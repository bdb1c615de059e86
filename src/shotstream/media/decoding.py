"""Decodes the frames of a video as they are shown: deinterlaced, with the alpha of VP8 and VP9. Damage is an error.

Fed with broken bits, a decoder often notices nothing and draws something else, so damage is also looked for by the
format's own rules and checksums. A format without redundancy or checksums (VP9, and an H.264 slice that happens to end
where it should) hides it for good.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator

import av
from av import logging as said_by_ffmpeg
from av.container import InputContainer
from av.filter import Graph
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from shotstream.core.errors import InputError
from shotstream.media.pictures import MAX_PIXELS

# What FFmpeg's decoders and demuxers are to look at, and that they stop where it is wrong: checksums, the syntax of the
# bitstream, lengths.
STRICT = {"err_detect": "crccheck+bitstream+buffer+explode"}
Decode = Callable[[Packet], list[av.VideoFrame]]

_LENGTH_AT = {"h264": 4, "hevc": 21}  # in what precedes the stream (ISO 14496-15): the size of a unit's length
_IMPOSSIBLE = re.compile(rb"\0\0[\0\1\2]")  # inside a unit (H.264 and HEVC, 7.4.1); zeros may trail it
_SUMMED = ("ffv1",)  # whose decoders hold every slice against its checksum, say so in the log, and go on
_LOG = threading.Lock()  # FFmpeg's log level is the process's


def unit_check(stream: VideoStream) -> Callable[[Packet], bool]:
    """Whether a packet of ``stream`` keeps the rules of H.264's and HEVC's units: lengths that fit, a first bit of
    zero, no run of zeros. A stretch of a file that a disk has lost reads as zeros."""
    before = stream.codec_context.extradata or b""
    at = _LENGTH_AT.get(stream.codec_context.name, len(before))
    if at >= len(before) or before[0] != 1:
        return lambda packet: True
    length = (before[at] & 3) + 1
    return lambda packet: _keeps_rules(bytes(packet), length)


def _keeps_rules(data: bytes, length: int) -> bool:
    start = 0
    while start + length <= len(data):
        first = start + length
        start = first + int.from_bytes(data[start:first], "big")
        unit = data[first:start]
        if start > len(data) or unit[:1] > b"\x7f" or _IMPOSSIBLE.search(unit.rstrip(b"\0")):
            return False
    return True


def heeding_checksums(stream: VideoStream, decode: Decode, told: Callable[[], Exception]) -> Decode:
    """``decode``, which raises what ``told`` makes where the decoder's log speaks of damage; for formats that carry
    checksums but whose decoders go on."""
    if stream.codec_context.name not in _SUMMED:
        return decode
    stream.thread_type = "NONE"  # so that the decoder speaks in this thread

    def decoded(packet: Packet) -> list[av.VideoFrame]:
        with _LOG:
            level = said_by_ffmpeg.get_level()
            said_by_ffmpeg.set_level(said_by_ffmpeg.ERROR)
            try:
                with said_by_ffmpeg.Capture() as said:
                    frames = decode(packet)
            finally:
                said_by_ffmpeg.set_level(level)
        if said:
            raise told()
        return frames

    return decoded


# Codecs whose transparency is a second picture beside the first (Matroska's alpha mode), and who reads both.
_ALPHA_DECODERS = {"vp8": "libvpx", "vp9": "libvpx-vp9"}
# Tracks of Dolby Vision whose pictures are nothing without its metadata: FFmpeg would show them green and purple.
_DOLBY = ("dvh1", "dvhe", "dvav", "dva1", "dav1")


def decoded(container: InputContainer, stream: VideoStream, name: str) -> Iterator[av.VideoFrame]:
    """The frames that are shown, in order, those of interlaced video as whole pictures.

    name: what errors call the video. Raises :class:`InputError` for damage, also where a decoder would conceal it, for
    pictures that change their size, and for huge ones.
    """
    if stream.codec_context.width * stream.codec_context.height > MAX_PIXELS:
        raise InputError(f"{name}: has more than {MAX_PIXELS >> 20} million pixels a frame; make it smaller")
    if stream.codec_context.codec_tag in _DOLBY:
        raise InputError(
            f"{name}: is high dynamic range video (Dolby Vision), whose colours would be wrong; convert it to SDR"
        )
    stream.thread_type = "AUTO"  # between threads of a slice each, damage goes unnoticed
    stream.codec_context.options = {**STRICT, "max_pixels": str(MAX_PIXELS)}
    whole = _Deinterlacer()
    try:
        for frame in _of_one_size(_frames(container, stream, name), name):
            yield from whole.push(frame)
        yield from whole.push(None)
    except av.FFmpegError as fault:
        raise damaged(name, fault.strerror) from fault


def damaged(name: str, what: str | None) -> InputError:
    """What is said of a video that is broken."""
    return InputError(f"{name}: damaged video ({what or 'it cannot be decoded'}); make or fetch it again")


def _frames(container: InputContainer, stream: VideoStream, name: str) -> Iterator[av.VideoFrame]:
    sound = unit_check(stream)
    decode = heeding_checksums(stream, _decoder(stream, name), lambda: damaged(name, "a checksum does not fit"))
    for packet in container.demux(stream):
        if packet.is_corrupt or not sound(packet):
            raise damaged(name, "a broken packet")
        yield from decode(packet)


def _decoder(stream: VideoStream, name: str) -> Decode:
    """FFmpeg's own decoder; where a picture's alpha lies beside it, the one that reads that too."""
    reader = _ALPHA_DECODERS.get(stream.codec_context.name)
    if reader is None or stream.metadata.get("alpha_mode") != "1":
        return Packet.decode
    try:
        context = av.CodecContext.create(reader, "r")
    except ValueError as fault:  # PyAV built without it
        raise InputError(f"{name}: its transparency cannot be read here; save it without") from fault
    assert isinstance(context, VideoCodecContext)
    return lambda packet: context.decode(packet if packet.size else None)


def _of_one_size(frames: Iterator[av.VideoFrame], name: str) -> Iterator[av.VideoFrame]:
    size: tuple[int, int] | None = None
    for frame in frames:
        size = size or (frame.width, frame.height)
        if (frame.width, frame.height) != size:
            raise InputError(f"{name}: its pictures change their size; save it again in one size")
        yield frame


class _Deinterlacer:
    """Passes frames on as they are until one is interlaced; from there on FFmpeg's ``bwdif`` makes one whole picture
    of each that is. Frames that are not go through it unchanged."""

    def __init__(self) -> None:
        self._graph: Graph | None = None

    def push(self, frame: av.VideoFrame | None) -> Iterator[av.VideoFrame]:
        """The frames that are ready after ``frame``; None: there are no more."""
        if self._graph is None:
            if frame is None:
                return
            if not frame.interlaced_frame:
                yield frame
                return
            self._graph = _bwdif(frame)
        self._graph.push(frame)
        while True:
            try:
                ready = self._graph.pull()
            except (av.BlockingIOError, av.EOFError):  # not before the next frame is there; or all are out
                return
            assert isinstance(ready, av.VideoFrame)
            yield ready


def _bwdif(first: av.VideoFrame) -> Graph:
    """A graph through which frames like ``first`` go: a frame for a frame, only interlaced ones changed."""
    graph = Graph()
    source = graph.add_buffer(width=first.width, height=first.height, format=first.format, time_base=first.time_base)
    filtered, sink = graph.add("bwdif", "mode=send_frame:deint=interlaced"), graph.add("buffersink")
    source.link_to(filtered)
    filtered.link_to(sink)
    graph.configure()
    return graph
