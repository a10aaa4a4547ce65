"""MP4 files (ISO/IEC 14496-12 and -15) with one H.264 track, laid out to start playing before they are loaded whole."""

from __future__ import annotations

from collections.abc import Sequence
from struct import pack

import attrs

_MATRIX = pack(">9i", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
_UNDETERMINED = 0x55C4
"""The language "und"."""


@attrs.frozen(kw_only=True)
class Track:
    """A video: sizes in pixels, times in ticks, and one NAL unit a frame; `keys` are the frames where playing can start, from 0."""

    width: int
    height: int
    timescale: int
    """Ticks a second."""
    durations: Sequence[tuple[int, int]]
    """Runs of frames of one duration: how many, and for how many ticks each is shown."""
    keys: Sequence[int]
    frames: Sequence[bytes] = attrs.field(repr=False)
    sequence_parameters: bytes = attrs.field(repr=False)
    picture_parameters: bytes = attrs.field(repr=False)

    @property
    def ticks(self) -> int:
        """The whole duration."""
        return sum(count * ticks for count, ticks in self.durations)


def write(track: Track) -> bytes:
    """Return the file."""
    samples = [pack(">I", len(frame)) + frame for frame in track.frames]
    brand = _box("ftyp", b"isom", pack(">I", 0x200), b"isomiso2avc1mp41")
    sizes = [len(sample) for sample in samples]
    start = len(brand) + len(_movie(track, sizes, 0)) + 8
    return brand + _movie(track, sizes, start) + _box("mdat", *samples)


def _box(kind: str, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return pack(">I", 8 + len(body)) + kind.encode("ascii") + body


def _full(kind: str, *parts: bytes, flags: int = 0) -> bytes:
    """Return a box of version 0."""
    return _box(kind, pack(">I", flags), *parts)


def _table(kind: str, rows: Sequence[tuple[int, ...]]) -> bytes:
    return _full(kind, pack(">I", len(rows)), *(pack(f">{len(row)}I", *row) for row in rows))


def _movie(track: Track, sizes: Sequence[int], start: int) -> bytes:
    header = pack(">4IiH10x", 0, 0, track.timescale, track.ticks, 0x10000, 0x100) + _MATRIX + bytes(24) + pack(">I", 2)
    placed = pack(">5I8x4H", 0, 0, 1, 0, track.ticks, 0, 0, 0, 0) + _MATRIX + pack(">II", track.width << 16, track.height << 16)
    return _box(
        "moov",
        _full("mvhd", header),
        _box("trak", _full("tkhd", placed, flags=3), _media(track, sizes, start)),
    )


def _media(track: Track, sizes: Sequence[int], start: int) -> bytes:
    here = _full("url ", flags=1)
    return _box(
        "mdia",
        _full("mdhd", pack(">4IHH", 0, 0, track.timescale, track.ticks, _UNDETERMINED, 0)),
        _full("hdlr", pack(">I4s12x", 0, b"vide"), b"genbridge\0"),
        _box(
            "minf",
            _full("vmhd", bytes(8), flags=1),
            _box("dinf", _full("dref", pack(">I", 1), here)),
            _samples(track, sizes, start),
        ),
    )


def _samples(track: Track, sizes: Sequence[int], start: int) -> bytes:
    return _box(
        "stbl",
        _full("stsd", pack(">I", 1), _description(track)),
        _table("stts", list(track.durations)),
        _table("stss", [(key + 1,) for key in track.keys]),
        _table("stsc", [(1, len(sizes), 1)]),
        _full("stsz", pack(f">II{len(sizes)}I", 0, len(sizes), *sizes)),
        _table("stco", [(start,)]),
    )


def _description(track: Track) -> bytes:
    sps, pps = track.sequence_parameters, track.picture_parameters
    look = pack(">6xH16xHHIIIH", 1, track.width, track.height, 72 << 16, 72 << 16, 0, 1)
    decoder = bytes([1, *sps[1:4], 0xFF, 0xE1]) + pack(">H", len(sps)) + sps + b"\x01" + pack(">H", len(pps)) + pps
    return _box("avc1", look, bytes(32), pack(">Hh", 24, -1), _box("avcC", decoder))
