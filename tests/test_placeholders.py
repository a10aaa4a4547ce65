"""Placeholder pictures and videos are real files, drawn from the prompt, and what the decoders make of them is what was drawn.

The readers here are written from the formats' documents, apart from the code under test.
"""

from __future__ import annotations

import shutil
import subprocess
import time
import zlib
from itertools import chain, pairwise, product
from struct import unpack_from
from typing import TYPE_CHECKING

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genbridge import draw_png, draw_video
from genbridge.placeholders import h264, scenery

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

needs_ffmpeg = pytest.mark.skipif(not shutil.which("ffmpeg"), reason="ffmpeg is not installed; install it to decode with it too")


def chunks(png: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Read a PNG's chunks, each against its checksum."""
    assert b"\x89PNG\r\n\x1a\n" == png[:8]
    at = 8
    while at < len(png):
        (size,) = unpack_from(">I", png, at)
        kind, data = png[at + 4 : at + 8], png[at + 8 : at + 8 + size]
        assert zlib.crc32(kind + data) == unpack_from(">I", png, at + 8 + size)[0]
        yield kind, data
        at += 12 + size


def colours(png: bytes) -> list[list[tuple[int, ...]]]:
    """Read a palette PNG's pixels as rows of RGB."""
    parts = dict(chunks(png))
    width, height = unpack_from(">II", parts[b"IHDR"])
    palette, lines = parts[b"PLTE"], zlib.decompress(parts[b"IDAT"])
    assert height * (width + 1) == len(lines)
    assert {0} == set(lines[:: width + 1]), "the rows are not filtered"
    rows = [lines[y * (width + 1) + 1 : (y + 1) * (width + 1)] for y in range(height)]
    return [[tuple(palette[3 * index : 3 * index + 3]) for index in row] for row in rows]


@pytest.mark.parametrize("size", [(1, 1), (3, 200), (64, 36), (97, 61)])
def test_a_picture_has_the_asked_size(size: tuple[int, int]) -> None:
    """A viewer finds as many rows and columns as were asked for, all in colours of the palette."""
    pixels = colours(draw_png("a red fox", *size))
    assert size == (len(pixels[0]), len(pixels))


def test_a_picture_is_a_complete_png_of_palette_colours() -> None:
    """The header, the palette, the pixels and the end follow each other."""
    parts = list(chunks(draw_png("a red fox", 40, 30)))
    assert [b"IHDR", b"PLTE", b"IDAT", b"IEND"] == [kind for kind, _ in parts]
    assert (40, 30, 8, 3, 0, 0, 0) == unpack_from(">IIBBBBB", parts[0][1])


@pytest.mark.parametrize("prompt", ["a red fox", "", "一只红色的狐狸", "\ud800 half a pair", "x" * 10_000])
def test_the_same_prompt_gives_the_same_file(prompt: str) -> None:
    """Drawing twice gives the same bytes, whatever the prompt is made of."""
    assert draw_png(prompt, 64, 48) == draw_png(prompt, 64, 48)


def test_two_prompts_give_pictures_that_do_not_look_alike() -> None:
    """Any two of a few prompts differ clearly in most of their pixels."""
    prompts = ["a red fox", "a red fox ", "a blue fox", "neon city", "x", "y"]
    pictures = [list(chain.from_iterable(colours(draw_png(prompt, 48, 48)))) for prompt in prompts]
    for one, other in pairwise(pictures):
        far = [max(abs(a - b) for a, b in zip(p, q, strict=True)) > 20 for p, q in zip(one, other, strict=True)]
        assert sum(far) > len(far) / 2


def test_prompts_give_days_and_nights() -> None:
    """Among a few dozen prompts there are dark and light pictures."""
    tops = [colours(draw_png(f"prompt {number}", 16, 16))[0][0] for number in range(40)]
    assert min(map(sum, tops)) < 150
    assert max(map(sum, tops)) > 250


def test_a_large_picture_is_drawn_smaller_and_enlarged() -> None:
    """Every pixel of a picture above 2048 pixels is repeated, to exactly the asked size."""
    picture = scenery.draw("a red fox", 4097, 31)
    assert (4097, 31, 4097 * 31) == (picture.width, picture.height, len(picture.pixels))
    for y in (0, 15, 30):
        row = picture.row(y)
        assert row == bytes(row[x - x % 3] for x in range(len(row)))
        assert row == picture.row(y - y % 3)


def test_a_picture_of_a_million_pixels_is_drawn_quickly() -> None:
    """1024 by 1024 pixels take well under half a second of work."""
    started = time.process_time()
    draw_png("a red fox", 1024, 1024)
    assert time.process_time() - started < 0.5


@pytest.mark.parametrize("size", [(0, 10), (10, 0), (-1, 10)])
def test_a_picture_without_pixels_cannot_be_drawn(size: tuple[int, int]) -> None:
    """A size below 1 is named in the error, for a picture as for a video."""
    with pytest.raises(ValueError, match=f"not {size[0]}x{size[1]}"):
        draw_png("a red fox", *size)
    with pytest.raises(ValueError, match=f"not {size[0]}x{size[1]}"):
        draw_video("a red fox", *size, 1)


CONTAINERS = {b"moov", b"trak", b"mdia", b"minf", b"dinf", b"stbl"}


def boxes(data: bytes, path: str = "") -> Iterator[tuple[str, bytes]]:
    """Read an MP4's boxes, with their paths, depth first."""
    at = 0
    while at < len(data):
        (size,) = unpack_from(">I", data, at)
        kind = data[at + 4 : at + 8]
        assert 8 <= size <= len(data) - at, "a box lies within its parent"
        body, name = data[at + 8 : at + size], f"{path}/{kind.decode()}"
        yield name, body
        if kind in CONTAINERS:
            yield from boxes(body, name)
        at += size


def table(body: bytes, columns: int) -> list[tuple[int, ...]]:
    """Read a full box that is a table of numbers."""
    count = unpack_from(">I", body, 4)[0]
    assert 8 + 4 * columns * count == len(body)
    return [unpack_from(f">{columns}I", body, 8 + 4 * columns * row) for row in range(count)]


@attrs.frozen(kw_only=True)
class Film:
    """What a player reads of an MP4 before it decodes."""

    order: list[str]
    size: tuple[int, int]
    timescale: int
    duration: int
    runs: list[tuple[int, ...]]
    keys: list[int]
    samples: list[bytes]
    sps: bytes
    pps: bytes


STBL = "/moov/trak/mdia/minf/stbl"


def film(data: bytes) -> Film:
    """Read an MP4 by its tables."""
    parts = list(boxes(data))
    found = dict(parts)
    sizes = found[f"{STBL}/stsz"]
    assert (0, (len(sizes) - 12) // 4) == unpack_from(">II", sizes, 4)
    assert [(1, len(sizes) // 4 - 3, 1)] == table(found[f"{STBL}/stsc"], 3)
    ((start,),) = table(found[f"{STBL}/stco"], 1)
    samples = []
    for (size,) in (unpack_from(">I", sizes, at) for at in range(12, len(sizes), 4)):
        assert size - 4 == unpack_from(">I", data, start)[0], "a sample is one NAL unit with its length"
        samples.append(data[start + 4 : start + size])
        start += size
    assert start == len(data)
    entry = found[f"{STBL}/stsd"][8:]
    avcc = entry[86 + 8 :]
    assert b"avc1" == entry[4:8]
    assert b"avcC" == entry[90:94]
    size = unpack_from(">H", avcc, 6)[0]
    sps = avcc[8 : 8 + size]
    assert avcc[:6] == bytes([1, *sps[1:4], 0xFF, 0xE1])
    pps = avcc[8 + size + 3 :]
    assert len(pps) == unpack_from(">H", avcc, 8 + size + 1)[0]
    timescale, duration = unpack_from(">II", found["/moov/trak/mdia/mdhd"], 12)
    assert (timescale, duration) == unpack_from(">II", found["/moov/mvhd"], 12)
    assert duration == unpack_from(">I", found["/moov/trak/tkhd"], 20)[0]
    width, height = unpack_from(">II", found["/moov/trak/tkhd"], 76)
    assert (width, height) == tuple(side << 16 for side in unpack_from(">HH", entry, 32))
    return Film(
        order=[name for name, _ in parts if name.count("/") == 1],
        size=(width >> 16, height >> 16),
        timescale=timescale,
        duration=duration,
        runs=table(found[f"{STBL}/stts"], 2),
        keys=[number for (number,) in table(found[f"{STBL}/stss"], 1)],
        samples=samples,
        sps=sps,
        pps=pps,
    )


class Bits:
    """Reads a NAL unit's fields."""

    def __init__(self, unit: bytes) -> None:
        assert not any(unit[at : at + 3] in (b"\0\0\0", b"\0\0\1", b"\0\0\2") for at in range(len(unit) - 2)), "no start code"
        payload = unit[1:].replace(b"\0\0\3", b"\0\0")
        self.bits = "".join(f"{byte:08b}" for byte in payload)
        self.at = 0

    def u(self, width: int) -> int:
        self.at += width
        return int(self.bits[self.at - width : self.at], 2)

    def ue(self) -> int:
        zeros = self.bits.index("1", self.at) - self.at
        self.at += zeros
        return self.u(zeros + 1) - 1

    def se(self) -> int:
        code = self.ue()
        return (code + 1) // 2 if code % 2 else -code // 2

    def take(self, count: int) -> bytes:
        """Read bytes from the next whole one on."""
        self.at += -self.at % 8
        return bytes(self.u(8) for _ in range(count))

    def more(self) -> bool:
        """Whether anything is left but the stop bit."""
        return "1" in self.bits[self.at + 1 :]


@attrs.frozen(kw_only=True)
class Frame:
    """The fields of an SPS that say what a frame looks like."""

    level: int
    columns: int
    rows: int
    crop: tuple[int, int, int, int]
    count_bits: int


def frame(sps: bytes) -> Frame:
    """Read an SPS to its very end."""
    bits = Bits(sps)
    assert 0x67 == sps[0]
    assert (66, 0xC0) == (bits.u(8), bits.u(8)), "constrained baseline"
    level = bits.u(8)
    assert (0, 0, 0) == (bits.ue(), bits.ue(), bits.ue())
    count_bits = bits.ue() + 4
    assert (1, 0) == (bits.ue(), bits.u(1)), "one reference, no gaps"
    columns, rows = bits.ue() + 1, bits.ue() + 1
    assert (1, 1, 1) == (bits.u(1), bits.u(1), bits.u(1))
    crop = (bits.ue(), bits.ue(), bits.ue(), bits.ue())
    assert (1, 0, 0, 1) == (bits.u(1), bits.u(1), bits.u(1), bits.u(1)), "a VUI with a signal type"
    assert (5, 0, 1, 1, 1, 1) == (bits.u(3), bits.u(1), bits.u(1), bits.u(8), bits.u(8), bits.u(8)), "BT.709, limited range"
    assert (0, 1, 1) == (bits.u(1), bits.u(1), bits.u(32))
    assert (48, 1) == (bits.u(32), bits.u(1)), "24 frames of two fields a second"
    assert (0, 0, 0, 1, 1) == (bits.u(1), bits.u(1), bits.u(1), bits.u(1), bits.u(1))
    assert (0, 0, 13, 13, 0, 1) == tuple(bits.ue() for _ in range(6)), "no reordering"
    assert not bits.more()
    return Frame(level=level, columns=columns, rows=rows, crop=crop, count_bits=count_bits)


class Plane:
    """One colour of a frame under reconstruction."""

    def __init__(self, columns: int, rows: int, side: int) -> None:
        self.side, self.wide = side, columns * side
        self.samples = bytearray(columns * rows * side * side)

    def at(self, column: int, row: int, line: int) -> int:
        return (row * self.side + line) * self.wide + column * self.side

    def fill(self, column: int, row: int, samples: bytes) -> None:
        for line in range(self.side):
            start = self.at(column, row, line)
            self.samples[start : start + self.side] = samples[line * self.side : (line + 1) * self.side]

    def predict(self, column: int, row: int, *, left: bool) -> None:
        above = self.samples[self.at(column, row, -1) :][: self.side] if row else b""
        for line in range(self.side):
            start = self.at(column, row, line)
            assert column if left else row, "there is a neighbour to predict from"
            value = bytes([self.samples[start - 1]]) * self.side if left else above
            self.samples[start : start + self.side] = value


def decode_still(unit: bytes, columns: int, rows: int, count_bits: int = 12) -> tuple[bytes, bytes, bytes]:
    """Decode an IDR picture of samples and predictions (7.3.5, 9.2.1)."""
    bits = Bits(unit)
    assert 0x65 == unit[0]
    assert (0, 7, 0, 0) == (bits.ue(), bits.ue(), bits.ue(), bits.u(4))
    assert bits.ue() in (0, 1)
    assert (0, 0, 0, 1) == (bits.u(count_bits), bits.u(2), bits.se(), bits.ue())
    planes = [Plane(columns, rows, side) for side in (16, 8, 8)]
    totals: dict[tuple[int, int], int] = {}
    for row, column in product(range(rows), range(columns)):
        kind = bits.ue()
        totals[column, row] = 16 if kind == 25 else 0
        if kind == 25:
            for plane in planes:
                plane.fill(column, row, bits.take(plane.side**2))
            continue
        assert kind in (1, 2)
        assert ({1: 2, 2: 1}[kind], 0) == (bits.ue(), bits.se())
        near = [totals[place] for place in ((column - 1, row), (column, row - 1)) if place in totals]
        context = (sum(near) + 1) // 2 if len(near) == 2 else sum(near)
        assert (0b000011, 6) == (bits.u(6), 6) if context >= 8 else 1 == bits.u(1)
        for plane in planes:
            plane.predict(column, row, left=kind == 2)
    assert not bits.more()
    luma, blue, red = (bytes(plane.samples) for plane in planes)
    return luma, blue, red


def decode_shift(unit: bytes, columns: int, rows: int, count_bits: int = 12) -> tuple[int, list[tuple[int, int]]]:
    """Decode a P picture of whole macroblocks without residual: its place in the order, and every macroblock's vector (8.4.1)."""
    bits = Bits(unit)
    assert 0x01 == unit[0], "nothing refers to it"
    assert (0, 5, 0, 1) == (bits.ue(), bits.ue(), bits.ue(), bits.u(4))
    order = bits.u(count_bits)
    assert (0, 0, 1) == (bits.u(2), bits.se(), bits.ue())
    vectors: dict[tuple[int, int], tuple[int, int]] = {}
    places = iter(product(range(rows), range(columns)))
    while bits.more():
        for _ in range(bits.ue()):
            row, column = next(places)
            vectors[column, row] = skipped(vectors, column, row)
        if bits.more():
            row, column = next(places)
            assert 0 == bits.ue()
            x, y = guessed(vectors, column, row)
            vectors[column, row] = (x + bits.se(), y + bits.se())
            assert 0 == bits.ue(), "no coefficients"
    assert next(places, None) is None, "every macroblock is there"
    return order, list(vectors.values())


def guessed(vectors: dict[tuple[int, int], tuple[int, int]], column: int, row: int) -> tuple[int, int]:
    """Return the vector that the neighbours let expect (8.4.1.3)."""
    left, above = vectors.get((column - 1, row)), vectors.get((column, row - 1))
    third = vectors.get((column + 1, row - 1), vectors.get((column - 1, row - 1)))
    if above is None and third is None and left is not None:
        return left
    known = [vector for vector in (left, above, third) if vector is not None]
    if len(known) == 1:
        return known[0]
    x, y = zip(*(vector or (0, 0) for vector in (left, above, third)), strict=True)
    return sorted(x)[1], sorted(y)[1]


def skipped(vectors: dict[tuple[int, int], tuple[int, int]], column: int, row: int) -> tuple[int, int]:
    """Return the vector of a skipped macroblock (8.4.1.1)."""
    near = [vectors.get((column - 1, row)), vectors.get((column, row - 1))]
    return (0, 0) if None in near or (0, 0) in near else guessed(vectors, column, row)


@st.composite
def stills(draw: st.DrawFn) -> h264.Still:
    """Make small pictures of which many macroblocks repeat their neighbours and some do not."""
    columns, rows = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    planes = [Plane(columns, rows, side) for side in (16, 8, 8)]
    shades = st.integers(16, 18)
    for row, column in product(range(rows), range(columns)):
        kind = draw(st.sampled_from(["flat", "rows", "columns", "noise"]))
        for plane in planes:
            line = bytes(draw(st.lists(shades, min_size=plane.side, max_size=plane.side)))
            samples = {
                "flat": line[:1] * plane.side**2,
                "columns": line * plane.side,
                "rows": b"".join(bytes([shade]) * plane.side for shade in line),
                "noise": line[::-1] + line * (plane.side - 1),
            }
            plane.fill(column, row, samples[kind])
    luma, blue, red = (bytes(plane.samples) for plane in planes)
    return h264.Still(columns=columns, rows=rows, width=columns * 16, height=rows * 16, luma=luma, blue=blue, red=red)


@given(stills())
def test_a_still_is_decoded_to_exactly_what_was_coded(still: h264.Still) -> None:
    """Whichever macroblocks are predicted, every sample comes back."""
    (unit,) = h264.groups(still, [[]])
    assert (still.luma, still.blue, still.red) == decode_still(unit, still.columns, still.rows)


def test_a_still_of_one_shade_takes_a_few_bytes() -> None:
    """Everything but the first macroblock is predicted."""
    still = h264.Still(columns=9, rows=9, width=144, height=144, luma=b"\x20" * 144**2, blue=b"\x80" * 72**2, red=b"\x80" * 72**2)
    (unit,) = h264.groups(still, [[]])
    assert 384 < len(unit) < 384 + 81 * 2 + 20


@given(st.integers(1, 6), st.integers(1, 6), st.integers(-70, 500))
def test_all_macroblocks_of_a_later_frame_move_alike(columns: int, rows: int, shift: int) -> None:
    """The vectors that a decoder derives are the shift, for frames of any shape."""
    samples = b"\x80" * columns * rows * 64
    still = h264.Still(columns=columns, rows=rows, width=2, height=2, luma=samples * 4, blue=samples, red=samples)
    _, unit = h264.groups(still, [[shift]])
    assert (2, [(shift, 0)] * (columns * rows)) == decode_shift(unit, columns, rows)


def test_frames_are_shown_in_the_order_of_their_coding() -> None:
    """The picture order counts up within a group and starts again with the next."""
    still = h264.Still(columns=1, rows=1, width=16, height=16, luma=b"\x80" * 256, blue=b"\x80" * 64, red=b"\x80" * 64)
    units = list(h264.groups(still, [[4, 8, 4], [4]]))
    assert [5, 1, 1, 1, 5, 1] == [unit[0] & 31 for unit in units]
    assert [2, 4, 6, 2] == [decode_shift(unit, 1, 1)[0] for unit in units if unit[0] & 31 == 1]
    assert units[0] != units[4], "two key pictures in a row have different ids"


def test_zeros_that_look_like_a_start_code_are_broken_up() -> None:
    """Even samples that the standard does not allow do not end the unit early."""
    still = h264.Still(columns=1, rows=1, width=16, height=16, luma=bytes(255) + b"\x03", blue=bytes(64), red=bytes(64))
    (unit,) = h264.groups(still, [[]])
    assert (still.luma, still.blue, still.red) == decode_still(unit, 1, 1)


def test_a_group_that_is_too_long_to_count_is_refused() -> None:
    """The order count would run over."""
    still = h264.Still(columns=1, rows=1, width=16, height=16, luma=b"\x80" * 256, blue=b"\x80" * 64, red=b"\x80" * 64)
    with pytest.raises(ValueError, match="at most 1024 frames, not 1025"):
        list(h264.groups(still, [[0] * 1024]))


@pytest.mark.parametrize(
    ("columns", "rows", "fps", "level"),
    [(11, 9, 15, 10), (11, 9, 16, 11), (61, 30, 24, 31), (120, 68, 30, 40), (135, 68, 24, 50), (270, 135, 24, 51), (60, 1, 1, 21)],
)
def test_the_level_is_the_lowest_that_allows_the_frames(columns: int, rows: int, fps: int, level: int) -> None:
    """Size, rate and the longer side each count (table A-1)."""
    assert level == h264.level(columns, rows, fps)


def test_more_pixels_than_any_level_allows_are_refused() -> None:
    """A frame of 16000 by 16000 pixels is none that anybody plays."""
    with pytest.raises(ValueError, match=r"no H\.264 level allows 16000x16000 pixels at 24"):
        h264.level(1000, 1000, 24)


SHOWN = {(320, 180): (320, 180), (33, 19): (34, 20), (1, 1): (2, 2), (16, 16): (16, 16)}


@pytest.mark.parametrize(("size", "shown"), SHOWN.items())
def test_a_video_has_the_asked_size(size: tuple[int, int], shown: tuple[int, int]) -> None:
    """The track says it, and the frame is cropped to it; an odd size is rounded up, as 4:2:0 needs."""
    video = film(draw_video("a red fox", *size, 0.2))
    look = frame(video.sps)
    left, right, top, bottom = look.crop
    assert shown == video.size
    assert shown == (look.columns * 16 - 2 * (left + right), look.rows * 16 - 2 * (top + bottom))


@pytest.mark.parametrize(("seconds", "frames"), [(5, 120), (0.04, 1), (2.02, 49), (25, 600), (1e-9, 1)])
def test_a_video_lasts_as_long_as_asked(seconds: float, frames: int) -> None:
    """The frames' durations add up to it, to a thousandth of a frame."""
    video = film(draw_video("a red fox", 32, 32, seconds))
    assert pytest.approx(seconds, abs=1 / 24000) == video.duration / video.timescale
    assert video.duration == sum(count * ticks for count, ticks in video.runs)
    assert frames == len(video.samples) == sum(count for count, _ in video.runs)


def test_a_video_starts_playing_before_it_is_loaded() -> None:
    """The tables come before the frames."""
    assert ["/ftyp", "/moov", "/mdat"] == film(draw_video("a red fox", 32, 32, 1)).order


def test_a_long_video_has_key_frames_to_seek_to() -> None:
    """There is one at least every ten seconds, and the table names exactly those."""
    video = film(draw_video("a red fox", 32, 32, 25))
    assert [1, 201, 401] == video.keys
    assert video.keys == [number for number, unit in enumerate(video.samples, 1) if unit[0] & 31 == 5]


def test_the_view_moves_over_the_picture_and_back() -> None:
    """The shifts rise to the room there is beyond the right edge, never past it, and fall again."""
    video = film(draw_video("a red fox", 160, 90, 4))
    look = frame(video.sps)
    orders, vectors = zip(
        *(decode_shift(unit, look.columns, look.rows, look.count_bits) for unit in video.samples[1:]), strict=True
    )
    assert [2 * number for number in range(1, 96)] == list(orders)
    shifts = [places[0][0] for places in vectors]
    assert all(set(places) == {(shift, 0)} for places, shift in zip(vectors, shifts, strict=True))
    assert 4 * 2 * look.crop[1] == max(shifts) == shifts[47]
    assert sorted(shifts[:48]) == shifts[:48]
    assert shifts == shifts[::-1]


def test_the_first_frame_is_the_picture_of_the_prompt() -> None:
    """Its samples are the landscape's colours, by BT.709."""
    video = film(draw_video("a red fox", 96, 64, 1))
    look = frame(video.sps)
    luma, blue, red = decode_still(video.samples[0], look.columns, look.rows, look.count_bits)
    picture = scenery.draw("a red fox", look.columns * 16, look.rows * 16)
    for x, y in product(range(0, picture.width, 6), range(0, picture.height, 6)):
        wanted = picture.palette[picture.row(y)[x]]
        at = y // 2 * (picture.width // 2) + x // 2
        shown = rgb(luma[y * picture.width + x], blue[at], red[at])
        assert all(abs(a - b) <= 3 for a, b in zip(wanted, shown, strict=True))


def rgb(luma: int, blue: int, red: int) -> tuple[float, float, float]:
    """Turn Y, Cb, Cr of the limited range back (BT.709, the matrix as it is printed)."""
    y, u, v = 1.164384 * (luma - 16), blue - 128, red - 128
    return y + 1.792741 * v, y - 0.213249 * u - 0.532909 * v, y + 2.112402 * u


def test_a_picture_parameter_set_asks_for_nothing_special() -> None:
    """CAVLC, one slice group, one reference, and the filter under the slices' control."""
    pps = film(draw_video("a red fox", 32, 32, 0.1)).pps
    bits = Bits(pps)
    assert 0x68 == pps[0]
    assert (0, 0, 0, 0) == (bits.ue(), bits.ue(), bits.u(1), bits.u(1))
    assert (0, 0, 0, 0, 0) == (bits.ue(), bits.ue(), bits.ue(), bits.u(1), bits.u(2))
    assert (0, 0, 0, 1, 0, 0) == (bits.se(), bits.se(), bits.se(), bits.u(1), bits.u(1), bits.u(1))
    assert not bits.more()


def test_the_same_prompt_gives_the_same_video_and_another_another() -> None:
    """Nothing but the arguments goes into a file."""
    video = draw_video("a red fox", 64, 64, 1)
    assert video == draw_video("a red fox", 64, 64, 1)
    assert video != draw_video("a blue fox", 64, 64, 1)


def test_a_usual_video_is_small_and_drawn_quickly() -> None:
    """Fifteen seconds of 854 by 480 pixels take less than two seconds of work and two megabytes."""
    started = time.process_time()
    video = draw_video("a red fox", 854, 480, 15)
    assert time.process_time() - started < 2
    assert len(video) < 2_000_000


@pytest.mark.parametrize(("seconds", "fps"), [(0, 24), (-1, 24), (float("nan"), 24), (float("inf"), 24), (3601, 24), (1, 0)])
def test_a_video_of_no_or_endless_duration_cannot_be_drawn(seconds: float, fps: int) -> None:
    """The error says what was asked for."""
    with pytest.raises(ValueError, match=f"not {seconds!r} s at {fps!r}"):
        draw_video("a red fox", 32, 32, seconds, fps=fps)


@needs_ffmpeg
@pytest.mark.parametrize(("size", "seconds"), [((320, 180), 4), ((33, 19), 0.3), ((1, 1), 1), ((90, 160), 12.5)])
def test_ffmpeg_decodes_a_video_without_a_warning(tmp_path: Path, size: tuple[int, int], seconds: float) -> None:
    """A decoder of other people's finds nothing to complain about, and as many frames as there are."""
    path = tmp_path / "video.mp4"
    path.write_bytes(draw_video("a red fox", *size, seconds))
    command = ["ffmpeg", "-v", "warning", "-i", str(path), "-f", "rawvideo", "-pix_fmt", "yuv420p", "-"]
    done = subprocess.run(command, capture_output=True, check=True)
    width, height = film(path.read_bytes()).size
    assert b"" == done.stderr
    assert len(film(path.read_bytes()).samples) == len(done.stdout) / (width * height * 1.5)


@needs_ffmpeg
def test_ffmpeg_sees_the_picture_moved(tmp_path: Path) -> None:
    """In the middle of the video the view is at the right edge of the picture, to the pixel."""
    path = tmp_path / "video.mp4"
    path.write_bytes(draw_video("a red fox", 160, 96, 4))
    command = ["ffmpeg", "-v", "error", "-i", str(path), "-f", "rawvideo", "-pix_fmt", "gray", "-vf", "extractplanes=y", "-"]
    frames = subprocess.run(command, capture_output=True, check=True).stdout
    video = film(path.read_bytes())
    look = frame(video.sps)
    luma, _, _ = decode_still(video.samples[0], look.columns, look.rows, look.count_bits)
    wide = look.columns * 16
    room = wide - 160
    for number, moved in ((0, 0), (48, room)):
        wanted = b"".join(luma[y * wide + moved : y * wide + moved + 160] for y in range(96))
        assert wanted == frames[number * 160 * 96 : (number + 1) * 160 * 96]
