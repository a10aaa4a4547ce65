"""H.264 of a still picture that is panned over: constrained baseline, without loss, by ITU-T H.264 (the sections are named below).

A group of frames is the still, coded once, and frames that show it displaced: each names one motion vector for all macroblocks.
In the still, a macroblock that repeats the pixels left of it or above it is coded as a prediction, a few bits long, and any other
as its samples (I_PCM). All frames of a group are predicted from its first, so nothing blurs with time.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import product

import attrs

MACROBLOCK = 16
"""The side of a macroblock, in pixels."""
MOST_FRAMES = 1024
"""How many frames a group may have."""

_COUNT_BITS = 12
_PICTURE, _IDR, _SPS, _PPS = 1, 5, 7, 8
_KEPT, _NOT_KEPT = 3, 0
_LEVELS = (
    (10, 1485, 99),
    (11, 3000, 396),
    (13, 11880, 396),
    (21, 19800, 792),
    (22, 20250, 1620),
    (30, 40500, 1620),
    (31, 108000, 3600),
    (32, 216000, 5120),
    (40, 245760, 8192),
    (42, 522240, 8704),
    (50, 589824, 22080),
    (51, 983040, 36864),
    (52, 2073600, 36864),
    (60, 4177920, 139264),
    (62, 16711680, 139264),
)
"""Level, most macroblocks a second and most macroblocks a frame (table A-1)."""


def _code(value: int) -> str:
    """Return the bits of ue(v) (9.1)."""
    digits = f"{value + 1:b}"
    return "0" * (len(digits) - 1) + digits


_SAMPLES = 25
"""The kind of macroblock that is spelt out, I_PCM (table 7-11)."""
_FROM_ABOVE = _code(1) + _code(2) + _code(0)
"""A macroblock and its chroma predicted from above (tables 7-11 and 7-16), with no change of the quantiser."""
_FROM_LEFT = _code(2) + _code(1) + _code(0)
_NOTHING, _NOTHING_AMONG_SAMPLES = "1", "000011"
"""No coefficients, for few and for many coefficients in the neighbours (table 9-5)."""


@attrs.frozen(kw_only=True)
class Still:
    """A picture in 4:2:0, of whole macroblocks, of which the upper left `width` by `height` pixels are shown."""

    columns: int
    rows: int
    width: int
    height: int
    luma: bytes = attrs.field(repr=False)
    blue: bytes = attrs.field(repr=False)
    red: bytes = attrs.field(repr=False)


class _Bits:
    """Bits in the order they are written."""

    def __init__(self) -> None:
        self._whole = bytearray()
        self._rest: list[str] = []

    def number(self, value: int, width: int) -> None:
        """Write u(n)."""
        self._rest.append(f"{value:0{width}b}")

    def numbers(self, *values: int) -> None:
        """Write each value as ue(v), which is how almost all fields are coded."""
        self._rest += [_code(value) for value in values]

    def signed(self, value: int) -> None:
        """Write se(v)."""
        self.numbers(2 * value - 1 if value > 0 else -2 * value)

    def put(self, block: str | bytes) -> None:
        """Write a string of bits as it is, or bytes, after some bits, at the next byte's start."""
        if isinstance(block, str):
            self._rest.append(block)
        else:
            self._align()
            self._whole += block

    def ended(self) -> bytes:
        """Return everything, with the stop bit."""
        self.number(1, 1)
        self._align()
        return bytes(self._whole)

    def _align(self) -> None:
        bits = "".join(self._rest)
        self._rest.clear()
        size = -(-len(bits) // 8)
        self._whole += int(bits.ljust(8 * size, "0"), 2).to_bytes(size, "big")


def _unit(kind: int, kept: int, payload: bytes) -> bytes:
    """Wrap a payload as a NAL unit, with the bytes that keep start codes out of it (7.4.1)."""
    return bytes([kept << 5 | kind]) + re.sub(rb"\x00\x00(?=[\x00-\x03])", b"\x00\x00\x03", payload)


def level(columns: int, rows: int, fps: int) -> int:
    """Return the lowest level that allows frames of that many macroblocks at that rate; raises `ValueError` when none does."""
    size = columns * rows
    for number, speed, most in _LEVELS:
        if size <= most and size * fps <= speed and max(columns, rows) ** 2 <= 8 * most:
            return number
    raise ValueError(f"no H.264 level allows {columns * MACROBLOCK}x{rows * MACROBLOCK} pixels at {fps} frames a second")


def sequence_parameters(still: Still, fps: int) -> bytes:
    """Return the SPS (7.3.2.1), which crops the frame to the pixels that are shown."""
    bits = _Bits()
    for value in (66, 0b11000000, level(still.columns, still.rows, fps)):
        bits.number(value, 8)
    bits.numbers(0, 0, 0, _COUNT_BITS - 4, 1)
    bits.number(0, 1)
    bits.numbers(still.columns - 1, still.rows - 1)
    bits.number(0b111, 3)  # frames only, direct 8x8 inference, cropping
    bits.numbers(0, (still.columns * MACROBLOCK - still.width) // 2, 0, (still.rows * MACROBLOCK - still.height) // 2)
    bits.number(1, 1)
    _usability(bits, fps)
    return _unit(_SPS, _KEPT, bits.ended())


def _usability(bits: _Bits, fps: int) -> None:
    """Write the VUI (E.1.1): BT.709 in the limited range, a fixed rate, and frames that are shown in the order of decoding."""
    bits.number(0b001, 3)  # no aspect ratio, no overscan, a video signal type
    bits.number(0b101_0_1, 5)  # an unspecified format, the limited range, colours described
    for _ in range(3):
        bits.number(1, 8)
    bits.number(0b01, 2)  # no chroma location, timing
    bits.number(1, 32)
    bits.number(2 * fps, 32)
    bits.number(0b1_00_0_1_1, 6)  # a fixed rate, no buffering models, no picture structure, restrictions, vectors beyond the edge
    bits.numbers(0, 0, 13, 13, 0, 1)


def picture_parameters() -> bytes:
    """Return the PPS (7.3.2.2): CAVLC, one slice, no deblocking."""
    bits = _Bits()
    bits.numbers(0, 0)
    bits.number(0, 2)
    bits.numbers(0, 0, 0)
    bits.number(0, 3)
    bits.numbers(0, 0, 0)
    bits.number(0b100, 3)
    return _unit(_PPS, _KEPT, bits.ended())


def groups(still: Still, shifts: Iterable[Sequence[int]]) -> Iterator[bytes]:
    """Yield one NAL unit a frame; for each item of `shifts` one group.

    A group is the still, and the still moved by each number of the item: quarters of a pixel to the left, and not so far that its
    right edge comes into view. Raises `ValueError` for a group that is too long.
    """
    blocks = list(_blocks(still))
    for number, group in enumerate(shifts):
        if len(group) >= MOST_FRAMES:
            raise ValueError(f"a group has at most {MOST_FRAMES} frames, not {len(group) + 1}")
        yield _still_unit(blocks, number % 2)
        for count, shift in enumerate(group, 1):
            yield _shifted_unit(still.columns, still.rows, shift, count)


def _still_unit(blocks: Iterable[str | bytes], parity: int) -> bytes:
    bits = _Bits()
    bits.numbers(0, 7, 0)
    bits.number(0, 4)
    bits.numbers(parity)
    bits.number(0, _COUNT_BITS)
    bits.number(0, 2)
    bits.numbers(0, 1)
    for block in blocks:
        bits.put(block)
    return _unit(_IDR, _KEPT, bits.ended())


def _shifted_unit(columns: int, rows: int, shift: int, count: int) -> bytes:
    bits = _Bits()
    bits.numbers(0, 5, 0)
    bits.number(1, 4)
    bits.number(2 * count, _COUNT_BITS)
    bits.number(0, 2)
    bits.numbers(0, 1)
    _write_shift(bits, columns, rows, shift)
    return _unit(_PICTURE, _NOT_KEPT, bits.ended())


def _write_shift(bits: _Bits, columns: int, rows: int, shift: int) -> None:
    """Write the macroblocks of a frame that is displaced as a whole.

    A skipped macroblock moves with its neighbours, but stands still in the first row and column (8.4.1.1), where the vector is
    therefore spelt out: as a difference to the neighbour's, which is nothing but for the first.
    """
    if shift == 0:
        bits.numbers(columns * rows)
        return
    for place in range(columns):
        _write_moved(bits, 0, 0 if place else shift)
    for row in range(1, rows):
        _write_moved(bits, columns - 1 if row > 1 else 0, 0)
    if rows > 1 and columns > 1:
        bits.numbers(columns - 1)


def _write_moved(bits: _Bits, skipped: int, difference: int) -> None:
    bits.numbers(skipped, 0)
    bits.signed(difference)
    bits.numbers(0, 0)


def _blocks(still: Still) -> Iterator[str | bytes]:
    """Yield the macroblocks of the still: strings of bits, and samples, which start at a whole byte."""
    planes = (
        _Plane(still.luma, still.columns, MACROBLOCK),
        _Plane(still.blue, still.columns, MACROBLOCK // 2),
        _Plane(still.red, still.columns, MACROBLOCK // 2),
    )
    sampled: set[tuple[int, int]] = set()
    for row, column in product(range(still.rows), range(still.columns)):
        kinds = _prediction(planes, column, row)
        if kinds is not None:
            yield kinds + (_NOTHING_AMONG_SAMPLES if _beside(sampled, column, row) else _NOTHING)
            continue
        sampled.add((column, row))
        yield _code(_SAMPLES)
        yield b"".join(plane.block(column, row) for plane in planes)


def _beside(sampled: set[tuple[int, int]], column: int, row: int) -> bool:
    """Whether a neighbour is coded as samples, which counts as full of coefficients (9.2.1)."""
    return (column - 1, row) in sampled or (column, row - 1) in sampled


@attrs.frozen
class _Plane:
    """The samples of one colour, in blocks of `side` samples."""

    samples: bytes
    columns: int
    side: int

    def block(self, column: int, row: int) -> bytes:
        return b"".join(self._lines(column, row))

    def repeats_left(self, column: int, row: int) -> bool:
        return column > 0 and all(line.count(line[0]) == len(line) for line in self._lines(column, row, reach=1))

    def repeats_above(self, column: int, row: int) -> bool:
        if row == 0:
            return False
        above = self._at(column, row) - self.columns * self.side
        line = self.samples[above : above + self.side]
        return self.block(column, row) == line * self.side

    def _lines(self, column: int, row: int, reach: int = 0) -> Iterator[bytes]:
        start, stride = self._at(column, row), self.columns * self.side
        for at in range(start, start + self.side * stride, stride):
            yield self.samples[at - reach : at + self.side]

    def _at(self, column: int, row: int) -> int:
        return row * self.side * self.columns * self.side + column * self.side


def _prediction(planes: tuple[_Plane, _Plane, _Plane], column: int, row: int) -> str | None:
    """Return the bits of the kind of macroblock that gives the samples without any coefficient, where one does."""
    if all(plane.repeats_left(column, row) for plane in planes):
        return _FROM_LEFT
    if all(plane.repeats_above(column, row) for plane in planes):
        return _FROM_ABOVE
    return None
