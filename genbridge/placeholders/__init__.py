"""Pictures and videos for the sandbox, drawn from the prompt with the standard library alone."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from math import ceil, cos, pi
from struct import pack

from genbridge.placeholders import h264, mp4, scenery

_TICKS = 1000
"""The ticks of one frame, so that a duration need not be a whole number of frames."""
_GROUP_SECONDS = 10.0
"""There is a key frame at least this often."""
_LONGEST = 3600.0
_PAN = 8
"""The part of the width that the view moves over, there and back in every group."""


def draw_png(prompt: str, width: int, height: int) -> bytes:
    """Draw a prompt as a PNG of that many pixels; raises `ValueError` for a size below 1.

    One prompt always gives the same picture, and two prompts pictures that do not look alike.
    """
    _check(width, height)
    picture = scenery.draw(prompt, width, height)
    lines = b"".join(b"\0" + picture.row(number) for number in range(height))
    return b"".join(
        (
            b"\x89PNG\r\n\x1a\n",
            _chunk(b"IHDR", pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
            _chunk(b"PLTE", b"".join(map(bytes, picture.palette))),
            _chunk(b"IDAT", zlib.compress(lines, 6)),
            _chunk(b"IEND", b""),
        )
    )


def draw_video(prompt: str, width: int, height: int, seconds: float, *, fps: int = 24) -> bytes:
    """Draw a prompt as an MP4 (H.264, silent) in which the view moves over the picture.

    Sizes are pixels, and odd ones are rounded up; the duration is kept to a thousandth of a frame. Raises `ValueError` for a size
    or rate below 1, no duration or more than an hour, or more pixels than H.264 has a level for.
    """
    _check(width, height)
    if fps < 1 or not 0 < seconds <= _LONGEST:
        raise ValueError(f"a video lasts up to {_LONGEST:g} s and has at least 1 frame a second, not {seconds!r} s at {fps!r}")
    still = _still(prompt, width + width % 2, height + height % 2)
    ticks = max(1, round(seconds * fps * _TICKS))
    groups = list(_groups(-(-ticks // _TICKS), round(_GROUP_SECONDS * fps)))
    return mp4.write(
        mp4.Track(
            width=still.width,
            height=still.height,
            timescale=fps * _TICKS,
            durations=_durations(ticks),
            keys=[sum(groups[:number]) for number in range(len(groups))],
            frames=list(h264.groups(still, [_shifts(still, count) for count in groups])),
            sequence_parameters=h264.sequence_parameters(still, fps),
            picture_parameters=h264.picture_parameters(),
        )
    )


def _check(width: int, height: int) -> None:
    if width < 1 or height < 1:
        raise ValueError(f"a picture has at least 1x1 pixel, not {width}x{height}")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return pack(">I", len(data)) + kind + data + pack(">I", zlib.crc32(kind + data))


def _groups(frames: int, longest: int) -> Iterator[int]:
    """Yield how many frames each group has, as equal as can be."""
    count = -(-frames // min(longest, h264.MOST_FRAMES))
    for number in range(count):
        yield frames * (number + 1) // count - frames * number // count


def _durations(ticks: int) -> list[tuple[int, int]]:
    whole, rest = divmod(ticks, _TICKS)
    return [run for run in ((whole, _TICKS), (1, rest)) if all(run)]


def _shifts(still: h264.Still, frames: int) -> list[int]:
    """Return how far the view has moved at every frame but the first, in quarters of a pixel: there and back."""
    room = still.columns * h264.MACROBLOCK - still.width
    return [round(2 * room * (1 - cos(2 * pi * number / frames))) for number in range(1, frames)]


def _still(prompt: str, width: int, height: int) -> h264.Still:
    columns, rows = ceil((width + width // _PAN) / h264.MACROBLOCK), ceil(height / h264.MACROBLOCK)
    picture = scenery.draw(prompt, columns * h264.MACROBLOCK, rows * h264.MACROBLOCK)
    tables = [bytes(shades) for shades in zip(*map(_shades, picture.palette), strict=True)]
    luma, blue, red = (table.ljust(256, b"\x80") for table in tables)
    quarter = b"".join(picture.row(number)[::2] for number in range(0, picture.height, 2))
    return h264.Still(
        columns=columns,
        rows=rows,
        width=width,
        height=height,
        luma=picture.pixels.translate(luma),
        blue=quarter.translate(blue),
        red=quarter.translate(red),
    )


def _shades(colour: scenery.Colour) -> tuple[int, int, int]:
    """Return a colour as Y, Cb and Cr (ITU-R BT.709, limited range)."""
    red, green, blue = (part / 255 for part in colour)
    luma = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    return round(16 + 219 * luma), round(128 + 224 * (blue - luma) / 1.8556), round(128 + 224 * (red - luma) / 1.5748)
