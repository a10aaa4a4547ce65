"""Landscapes drawn from a prompt, as indexes into a palette: one prompt always gives one landscape, another prompt another.

Every row of a surface has one colour, so that a picture packs well and its macroblocks can be predicted from their neighbours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from colorsys import hls_to_rgb
from hashlib import sha256
from math import ceil, pi, sin, sqrt
from random import Random
from typing import TypeAlias

import attrs

Colour: TypeAlias = tuple[int, int, int]
_Tint: TypeAlias = tuple[float, float, float]
_Profile: TypeAlias = Callable[[float], float]

_LONGEST_SIDE = 2048
"""Larger pictures are drawn smaller and every pixel is repeated, so that drawing stays quick."""
_BANDS = 64
"""The colours of the sky, from top to bottom; there are three skies: plain, in the glow, and in a cloud or near the sun."""
_SKIES = 3
_SUN = _SKIES * _BANDS
_LAYERS = 5
_STEPS = 12
"""The colours of one layer of land, from its top to the bottom of the picture."""


@attrs.frozen(kw_only=True)
class Picture:
    """A picture: RGB colours, and for every pixel, row by row, the index of its colour."""

    width: int
    height: int
    palette: tuple[Colour, ...]
    pixels: bytes = attrs.field(repr=False)

    def row(self, number: int) -> bytes:
        """Return the pixels of one row."""
        return self.pixels[number * self.width : (number + 1) * self.width]

    def enlarged(self, times: int, width: int, height: int) -> Picture:
        """Return the picture with every pixel repeated, cut to a size in pixels."""
        rows = [_repeat(self.row(number), times)[:width] * times for number in range(self.height)]
        pixels = b"".join(rows)[: width * height]
        return attrs.evolve(self, width=width, height=height, pixels=pixels)


def _repeat(row: bytes, times: int) -> bytes:
    wide = bytearray(len(row) * times)
    for offset in range(times):
        wide[offset::times] = row
    return bytes(wide)


@attrs.frozen
class _Disc:
    """An ellipse of a shade: one of the skies, or the sun. Lengths are pixels."""

    x: float
    y: float
    wide: float
    high: float
    sky: int | None


def draw(prompt: str, width: int, height: int) -> Picture:
    """Draw the landscape of a prompt; sizes are pixels, at least 1."""
    times = ceil(max(width, height) / _LONGEST_SIDE)
    if times > 1:
        return draw(prompt, ceil(width / times), ceil(height / times)).enlarged(times, width, height)
    digest = sha256(prompt.encode("utf-8", "surrogatepass")).digest()
    dice = Random(digest)  # noqa: S311 - the same prompt has to give the same picture
    night = dice.random() < 0.3
    palette = _palette(dice, night=night)
    pixels = _sky(width, height)
    _paint_sky(pixels, width, height, _discs(dice, width, height, night=night))
    profile = (_hills, _peaks, _city)[int(dice.random() * 3)]
    for number in range(_LAYERS):
        _paint_land(pixels, width, height, number, _heights(profile(dice), dice, number))
    return Picture(width=width, height=height, palette=palette, pixels=bytes(pixels))


def _palette(dice: Random, *, night: bool) -> tuple[Colour, ...]:
    hue = 0.47 + 0.66 * dice.random()  # from blue over purple and red to orange: a green sky looks ill
    turn, sun_hue = 0.06 + 0.12 * dice.random(), 0.04 + 0.12 * dice.random()
    if dice.random() < 0.5:
        turn = -turn
    top, low = ((hue, 0.07, 0.55), (hue + turn, 0.4, 0.5)) if night else ((hue, 0.42, 0.62), (hue + turn, 0.86, 0.85))
    far, near = ((hue + turn, 0.34, 0.38), (hue, 0.05, 0.5)) if night else ((hue + turn, 0.7, 0.45), (hue + 2 * turn, 0.13, 0.5))
    sun = (sun_hue, 0.92, 0.6) if night else (sun_hue, 0.78, 1.0)
    colours = [_mixed(_blend(top, low, band / (_BANDS - 1)), sun, glow) for glow in (0.0, 0.22, 0.45) for band in range(_BANDS)]
    colours.append(_rgb(sun))
    for number in range(_LAYERS):
        tint = _blend(far, near, number / (_LAYERS - 1))
        colours += [_mixed(tint, far, 0.25 * step / _STEPS) for step in range(_STEPS)]
    return tuple(colours)


def _blend(one: _Tint, other: _Tint, share: float) -> _Tint:
    hue, light, strength = (a + (b - a) * share for a, b in zip(one, other, strict=True))
    return hue, light, strength


def _rgb(tint: _Tint) -> Colour:
    red, green, blue = (round(255 * part) for part in hls_to_rgb(tint[0] % 1.0, tint[1], tint[2]))
    return red, green, blue


def _mixed(tint: _Tint, other: _Tint, share: float) -> Colour:
    """Mix as light does, not around the colour wheel."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(_rgb(tint), _rgb(other), strict=True))
    return red, green, blue


def _sky(width: int, height: int) -> bytearray:
    horizon = max(1.0, height * 0.8)
    return bytearray(b"".join(bytes([min(_BANDS - 1, int(y * _BANDS / horizon))]) * width for y in range(height)))


def _discs(dice: Random, width: int, height: int, *, night: bool) -> Iterator[_Disc]:
    """Yield the stars, the sun in its glow, and the clouds."""
    unit = min(width, height)
    for _ in range(70 if night else 0):
        size = unit * (0.0015 + 0.002 * dice.random())
        yield _Disc(dice.random() * width, dice.random() * height * 0.55, size, size, None)
    x, y = width * (0.18 + 0.64 * dice.random()), height * (0.16 + 0.3 * dice.random())
    radius = unit * (0.06 + 0.08 * dice.random())
    for reach, sky in ((2.4, 1), (1.6, 2), (1.0, None)):
        yield _Disc(x, y, radius * reach, radius * reach, sky)
    for _ in range(int(dice.random() * 4)):
        yield from _cloud(dice, width * dice.random(), height * (0.1 + 0.35 * dice.random()), unit * (0.1 + 0.12 * dice.random()))


def _cloud(dice: Random, x: float, y: float, size: float) -> Iterator[_Disc]:
    for place in (-0.9, -0.3, 0.4, 1.0):
        wide = size * (0.5 + 0.4 * dice.random())
        yield _Disc(x + place * size, y + size * 0.12 * dice.random(), wide, wide * 0.28, 2)


def _paint_sky(pixels: bytearray, width: int, height: int, discs: Iterator[_Disc]) -> None:
    for disc in discs:
        for y in range(max(0, ceil(disc.y - disc.high)), min(height, int(disc.y + disc.high) + 1)):
            half = disc.wide * sqrt(max(0.0, 1 - ((y - disc.y) / disc.high) ** 2))
            start, end = max(0, round(disc.x - half)), min(width, round(disc.x + half) + 1)
            if start < end:
                shade = _SUN if disc.sky is None else disc.sky * _BANDS + pixels[y * width] % _BANDS
                pixels[y * width + start : y * width + end] = bytes([shade]) * (end - start)


def _hills(dice: Random) -> _Profile:
    waves = [(1 / (1 + 1.7 * k), 2 * pi * dice.random(), (1.1 + dice.random()) * 1.9**k) for k in range(3)]
    return lambda u: 0.5 + 0.33 * sum(size * sin(pace * u * pi + start) for size, start, pace in waves)


def _peaks(dice: Random) -> _Profile:
    ridges = [(0.55**k, dice.random(), (0.9 + 0.6 * dice.random()) * 2.3**k) for k in range(4)]
    total = sum(size for size, _, _ in ridges)
    return lambda u: sum(size * abs(2 * ((pace * u + start) % 1.0) - 1) for size, start, pace in ridges) / total


def _city(dice: Random) -> _Profile:
    widths = [0.035 + 0.075 * dice.random() for _ in range(40)]
    storeys = [dice.random() ** 1.6 for _ in widths]
    plan = [storey for wide, storey in zip(widths, storeys, strict=True) for _ in range(round(wide * 200))]
    return lambda u: plan[int(u * 200) % len(plan)]


def _heights(profile: _Profile, dice: Random, number: int) -> _Profile:
    """Return where a layer's top is at a place, as a share of the picture's height from above."""
    base = 0.62 + 0.08 * number + 0.03 * dice.random()
    reach = 0.26 - 0.03 * number
    return lambda u: base - reach * (profile(u) - 0.35)


def _paint_land(pixels: bytearray, width: int, height: int, number: int, top_at: _Profile) -> None:
    tops = [max(0, min(height, round(height * top_at(x / height)))) for x in range(width)]
    highest = min(tops)
    first = _SUN + 1 + number * _STEPS
    shades = bytes(first + _STEPS * (y - highest) // (height - highest) for y in range(highest, height))
    for x, top in enumerate(tops):
        pixels[top * width + x :: width] = shades[top - highest :]
