"""Video as a player shows it: orientation, edit lists, colours, transparency, damage, names. Each made here."""

from __future__ import annotations

import socket
import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from shotstream.core.errors import InputError
from shotstream.media.video import count_frames, iterate_frames, read_times, read_video

# Kr and Kb of H.273's matrices, and the number by which a file states each.
KR_KB = {1: (0.2126, 0.0722), 5: (0.299, 0.114), 6: (0.299, 0.114), 7: (0.212, 0.087), 9: (0.2627, 0.0593)}
COLOURS = np.array([[200, 40, 40], [40, 180, 60], [50, 60, 210], [230, 230, 230], [20, 20, 20], [180, 160, 30]])
WIDTH, HEIGHT = 96, 64


def bars(width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    """Six flat bars of colour, uint8 [height, width, 3]."""
    columns = np.arange(width) * len(COLOURS) // width
    return np.broadcast_to(COLOURS[columns], (height, width, 3)).astype(np.uint8)


def as_yuv(rgb: np.ndarray, matrix: int, full: bool, bits: int) -> np.ndarray:
    """Planes [3, H, W] by the definition of Y'CbCr (H.273, equations 38 to 45)."""
    kr, kb = KR_KB[matrix]
    red, green, blue = np.moveaxis(rgb / 255, -1, 0)
    luma = kr * red + (1 - kr - kb) * green + kb * blue
    chroma = np.stack([(blue - luma) / (2 * (1 - kb)), (red - luma) / (2 * (1 - kr))])
    scale, top = 2 ** (bits - 8), 2**bits - 1
    if full:
        planes = [top * luma, *(top * chroma + 2 ** (bits - 1))]
    else:
        planes = [scale * (219 * luma + 16), *(scale * (224 * chroma + 128))]
    return np.round(planes).astype(np.uint8 if bits == 8 else np.uint16)


def write(
    path: Path,
    pictures: list[av.VideoFrame],
    *,
    codec: str = "ffv1",
    times: list[int] | None = None,
    aspect: Fraction | None = None,
    **options: str,
) -> Path:
    first = pictures[0]
    with av.open(str(path), "w", options={"avoid_negative_ts": "disabled"}) as container:
        stream = container.add_stream(codec, rate=16, options=options)
        stream.width, stream.height, stream.pix_fmt = first.width, first.height, first.format.name
        context = stream.codec_context
        context.time_base = Fraction(1, 16)
        context.colorspace, context.color_range = first.colorspace, first.color_range
        context.color_trc, context.color_primaries = first.color_trc, first.color_primaries
        if aspect is not None:
            context.sample_aspect_ratio = aspect
        for index, picture in enumerate(pictures):
            picture.pts, picture.time_base = (times[index] if times else index), Fraction(1, 16)
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return path


def tagged(planes: np.ndarray, form: str, matrix: int, full: bool, primaries: int = 2, trc: int = 2) -> av.VideoFrame:
    frame = av.VideoFrame(planes.shape[2], planes.shape[1], form)
    for plane, values in zip(frame.planes, planes, strict=True):
        padded = np.zeros((plane.height, plane.line_size // values.itemsize), values.dtype)
        padded[:, : values.shape[1]] = values
        plane.update(padded.tobytes())
    frame.colorspace, frame.color_range = matrix, 2 if full else 1
    frame.color_primaries, frame.color_trc = primaries, trc
    return frame


@pytest.mark.parametrize("matrix", KR_KB)
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("bits", [8, 10])
def test_colours_by_the_matrix_and_range_a_file_states(tmp_path: Path, matrix: int, full: bool, bits: int) -> None:
    planes = as_yuv(bars(), matrix, full, bits)
    frame = tagged(planes, "yuv444p" if bits == 8 else "yuv444p10le", matrix, full)
    film = write(tmp_path / "a.mkv", [frame])
    assert np.abs(read_video(film)[0].astype(int) - bars()).max() <= 2


@pytest.mark.parametrize(("size", "matrix"), [((96, 64), 5), ((1280, 720), 1)])
def test_colours_of_a_file_that_states_nothing_are_those_players_assume(
    tmp_path: Path, size: tuple[int, int], matrix: int
) -> None:
    picture = bars(*size)
    film = write(tmp_path / "a.mkv", [tagged(as_yuv(picture, matrix, False, 8), "yuv444p", 2, False)])
    assert np.abs(read_video(film)[0].astype(int) - picture).max() <= 2


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("bits", [8, 10])
def test_grey_by_the_range_a_file_states(tmp_path: Path, full: bool, bits: int) -> None:
    picture = np.broadcast_to((np.arange(WIDTH) * 255 // (WIDTH - 1))[:, None], (HEIGHT, WIDTH, 3)).astype(np.uint8)
    planes = as_yuv(picture, 1, full, bits)[:1]
    frame = tagged(planes, "gray" if bits == 8 else "gray10le", 2, full)
    found = read_video(write(tmp_path / "a.mkv", [frame]))[0]
    assert np.abs(found.astype(int) - picture).max() <= 2


def test_wide_gamut_is_shown_as_ffmpegs_own_filter_shows_it(tmp_path: Path) -> None:
    planes = as_yuv(bars(), 9, False, 10)
    frame = tagged(planes, "yuv444p10le", 9, False, primaries=9, trc=14)
    found = read_video(write(tmp_path / "a.mkv", [frame]))[0]
    graph = av.filter.Graph()
    source = graph.add_buffer(width=WIDTH, height=HEIGHT, format="yuv444p10le", time_base=Fraction(1, 16))
    convert = graph.add("colorspace", "all=bt709:iall=bt2020:irange=tv:format=yuv444p10")
    sink = graph.add("buffersink")
    source.link_to(convert)
    convert.link_to(sink)
    graph.configure()
    frame.pts = 0
    graph.push(frame)
    wanted = graph.pull().reformat(format="rgb24", src_colorspace="itu709", src_color_range=1).to_ndarray()
    assert np.abs(found.astype(int) - wanted).mean() < 6 < np.abs(found.astype(int) - bars()).mean()


@pytest.mark.parametrize(("trc", "word"), [(16, "PQ"), (18, "HLG")])
def test_high_dynamic_range_is_refused_by_name(tmp_path: Path, trc: int, word: str) -> None:
    frame = tagged(as_yuv(bars(), 9, False, 10), "yuv444p10le", 9, False, primaries=9, trc=trc)
    film = write(tmp_path / "a.mkv", [frame])
    for read in (read_video, count_frames):
        with pytest.raises(InputError, match=rf"a\.mkv: is high dynamic range video \({word}\)"):
            read(film)


def test_transparent_parts_are_black(tmp_path: Path) -> None:
    picture = np.dstack([bars(), np.full((HEIGHT, WIDTH), 255, np.uint8)])
    picture[: HEIGHT // 2, :, 3] = 0
    picture[-8:, :, 3] = 51
    film = write(tmp_path / "a.mov", [av.VideoFrame.from_ndarray(picture, format="rgba")], codec="png")
    found = read_video(film)[0]
    assert not found[: HEIGHT // 2].any()
    np.testing.assert_array_equal(found[HEIGHT // 2 : -8], bars()[HEIGHT // 2 : -8])
    assert np.abs(found[-8:] - bars()[-8:] / 5).max() <= 1


@pytest.mark.parametrize("size", [(97, 64), (96, 63), (51, 33)])
def test_odd_sizes(tmp_path: Path, size: tuple[int, int]) -> None:
    picture = bars(*size)
    frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="yuv444p", dst_colorspace="itu601")
    found = read_video(write(tmp_path / "a.mkv", [frame]))[0]
    assert found.shape == picture.shape and np.abs(found.astype(int) - picture).max() <= 4


def test_pixels_that_are_not_square_are_stretched(tmp_path: Path) -> None:
    frame = av.VideoFrame.from_ndarray(bars(), format="rgb24")
    film = write(tmp_path / "a.mp4", [frame], codec="libx264rgb", aspect=Fraction(4, 3))
    assert read_video(film).shape == (1, HEIGHT, 128, 3)


TURNS = {  # a, b, c, d of the display matrix; what a viewer sees
    (1, 0, 0, 1): None,
    (0, 1, -1, 0): Image.Transpose.ROTATE_270,  # a quarter turn clockwise: a phone held upright
    (-1, 0, 0, -1): Image.Transpose.ROTATE_180,
    (0, -1, 1, 0): Image.Transpose.ROTATE_90,
    (-1, 0, 0, 1): Image.Transpose.FLIP_LEFT_RIGHT,
    (1, 0, 0, -1): Image.Transpose.FLIP_TOP_BOTTOM,
    (0, 1, 1, 0): Image.Transpose.TRANSPOSE,
    (0, -1, -1, 0): Image.Transpose.TRANSVERSE,
}


def with_matrix(film: Path, a: float, b: float, c: float, d: float) -> Path:
    """The track header of an MP4 with another display matrix (ISO 14496-12, 8.3.2)."""
    data = bytearray(film.read_bytes())
    start = data.index(b"tkhd") + 4 + 40
    data[start : start + 36] = struct.pack(
        ">9i", *(round(65536 * value) for value in (a, b, 0, c, d, 0, 0, 0)), 1 << 30
    )
    film.write_bytes(data)
    return film


def quarters() -> np.ndarray:
    picture = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    picture[: HEIGHT // 2, : WIDTH // 2] = (200, 40, 40)
    picture[: HEIGHT // 2, WIDTH // 2 :] = (40, 180, 60)
    picture[HEIGHT // 2 :, : WIDTH // 2] = (50, 60, 210)
    return picture


def h264(path: Path, frames: list[np.ndarray], times: list[int] | None = None) -> Path:
    pictures = [av.VideoFrame.from_ndarray(one, format="rgb24") for one in frames]
    return write(path, pictures, codec="libx264rgb", times=times, qp="0", preset="ultrafast", bf="0")


@pytest.mark.parametrize("turn", TURNS)
def test_turned_and_mirrored_as_the_file_says(tmp_path: Path, turn: tuple[int, int, int, int]) -> None:
    film = with_matrix(h264(tmp_path / "a.mp4", [quarters()]), *turn)
    wanted = Image.fromarray(quarters())
    wanted = wanted if TURNS[turn] is None else wanted.transpose(TURNS[turn])
    np.testing.assert_array_equal(read_video(film)[0], np.asarray(wanted))


def test_another_angle_is_refused(tmp_path: Path) -> None:
    film = with_matrix(h264(tmp_path / "a.mp4", [quarters()]), 0.7, 0.7, -0.7, 0.7)
    with pytest.raises(InputError, match="its rotation is not a multiple of 90 degrees"):
        read_video(film)


def test_what_an_edit_list_hides_is_not_shown(tmp_path: Path) -> None:
    frames = [np.full((HEIGHT, WIDTH, 3), 4 * index, np.uint8) for index in range(30)]
    whole = h264(tmp_path / "whole.mp4", frames)
    trimmed = tmp_path / "trimmed.mp4"
    options = {"avoid_negative_ts": "disabled", "movflags": "+use_metadata_tags", "use_editlist": "1"}
    with av.open(str(whole)) as source, av.open(str(trimmed), "w", options=options) as target:
        stream = source.streams.video[0]
        copy = target.add_stream_from_template(stream)
        for packet in source.demux(stream):
            if packet.pts is not None:
                packet.pts -= 10 * stream.duration // 30
                packet.dts -= 10 * stream.duration // 30
                packet.stream = copy
                target.mux(packet)
    with av.open(str(trimmed)) as container:
        assert sum(1 for packet in container.demux(video=0) if packet.size) == 30
    assert [int(frame[0, 0, 0]) for frame in iterate_frames(trimmed)] == [4 * index for index in range(10, 30)]
    assert count_frames(trimmed) == len(read_times(trimmed)) == 20


def test_frames_are_counted_whatever_their_timestamps(tmp_path: Path) -> None:
    frames = [np.full((HEIGHT, WIDTH, 3), 8 * index, np.uint8) for index in range(9)]
    times = [0, 1, 2, 6, 7, 11, 12, 13, 20]
    film = h264(tmp_path / "a.mp4", frames, times)
    assert [int(frame[0, 0, 0]) for frame in iterate_frames(film)] == [8 * index for index in range(9)]
    assert [round(16 * time) for time in read_times(film)] == times


def test_every_frame_has_a_time_whatever_the_file_says_of_them(tmp_path: Path) -> None:
    """A stream without timestamps, and a recording that begins in mid-picture: what cannot be shown has no time."""
    frames = [np.full((HEIGHT, WIDTH, 3), 8 * index, np.uint8) for index in range(20)]
    bare = h264(tmp_path / "a.h264", frames)
    assert len(read_times(bare)) == count_frames(bare) == 20
    pictures = [av.VideoFrame.from_ndarray(one, format="rgb24").reformat(format="yuv420p") for one in frames]
    whole = write(tmp_path / "whole.ts", pictures, codec="libx264", g="8", bf="2")
    late = tmp_path / "late.ts"
    late.write_bytes(whole.read_bytes()[7 * 188 :])
    times = read_times(late)
    assert len(times) == count_frames(late) < 20 and times[0] == 0
    steps = np.diff(times)
    assert steps.min() == pytest.approx(1 / 16, abs=1e-4) == steps.max()


def test_damage_is_told(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (20, HEIGHT, WIDTH, 3), dtype=np.uint8)
    film = h264(tmp_path / "a.mp4", list(noise))
    data = film.read_bytes()
    torn = tmp_path / "torn.mp4"
    middle = data.index(b"mdat") + len(data) // 2
    for broken in (data[:middle] + bytes(3000) + data[middle + 3000 :], data[:middle]):
        torn.write_bytes(broken)
        for read in (read_video, count_frames):
            with pytest.raises(InputError, match=r"torn\.mp4: (damaged video|cannot be read as a video)"):
                read(torn)


@pytest.mark.parametrize(
    "name", ["take2:final.mp4", "http:a.mp4", "data:x.mp4", "50%25 off.mp4", "日本 ä.mp4", "-.mp4"]
)
def test_a_name_is_a_files_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    h264(tmp_path / "plain.mp4", [quarters()]).rename(tmp_path / name)
    assert len(read_video(Path(name))) == 1


def test_nothing_is_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither by name nor through a playlist; a listening socket hears of it otherwise."""
    monkeypatch.chdir(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        address = f"http://127.0.0.1:{server.getsockname()[1]}/a.mp4"
        playlist = tmp_path / "list.m3u8"
        playlist.write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{address}\n#EXT-X-ENDLIST\n")
        Path("list.ffconcat").write_text("ffconcat version 1.0\nfile plain.mp4\n")
        h264(tmp_path / "plain.mp4", [quarters()])
        for name in (address, "list.m3u8", "list.ffconcat"):
            with pytest.raises(InputError):
                read_video(Path(name))
        with pytest.raises(TimeoutError):
            server.accept()


def test_a_size_that_changes_is_refused(tmp_path: Path) -> None:
    """A size that changes in mid-film is refused: the pictures would not fit each other."""
    first, second = h264(tmp_path / "a.ts", [quarters()] * 3), h264(tmp_path / "b.ts", [quarters()[:32]] * 3)
    both = tmp_path / "both.ts"
    both.write_bytes(first.read_bytes() + second.read_bytes())
    with pytest.raises(InputError, match="change their size"):
        read_video(both)


def test_moving_webp_is_named_and_moving_gif_and_png_are_read(tmp_path: Path) -> None:
    pictures = [Image.fromarray(np.roll(bars(), 8 * index, axis=1)) for index in range(3)]
    for name in ("a.webp", "a.gif", "a.png"):
        pictures[0].save(tmp_path / name, save_all=True, append_images=pictures[1:], duration=[100, 50, 70])
    with pytest.raises(InputError, match=r"a\.webp: is an animated WebP, which cannot be read; save it as"):
        read_video(tmp_path / "a.webp")
    for name in ("a.gif", "a.png"):
        np.testing.assert_array_equal(read_video(tmp_path / name), np.stack([np.asarray(one) for one in pictures]))
        assert read_times(tmp_path / name) == pytest.approx([0, 0.1, 0.15], abs=0.011)
    pictures[0].save(tmp_path / "still.webp", lossless=True)
    assert len(read_video(tmp_path / "still.webp")) == 1
