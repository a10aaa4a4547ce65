"""The emulated services' time, which passes faster than ours."""

from __future__ import annotations

from math import isfinite
from typing import Any

import attrs


def _finite(_: Any, attribute: attrs.Attribute[float], value: float) -> None:
    if not isfinite(value):
        raise ValueError(f"{attribute.name} is {value!r}, which is no time")


def _positive(instance: Any, attribute: attrs.Attribute[float], value: float) -> None:
    _finite(instance, attribute, value)
    if value <= 0:
        raise ValueError(f"{attribute.name} is {value!r}, at which time does not pass")


@attrs.frozen(kw_only=True)
class Tempo:
    """When it was `wall` on our clock it was `service` on theirs, and theirs runs `speed` times faster since; both in seconds."""

    wall: float = attrs.field(validator=_finite)
    service: float = attrs.field(validator=_finite)
    speed: float = attrs.field(validator=_positive)

    @classmethod
    def starting(cls, wall: float, speed: float) -> Tempo:
        """Begin at our time, so that dates in answers look like dates of today."""
        return cls(wall=wall, service=wall, speed=speed)

    def at(self, wall: float) -> float:
        """Return their time at a time of ours."""
        return self.service + max(0.0, wall - self.wall) * self.speed

    def at_speed(self, speed: float, wall: float) -> Tempo:
        """Return a tempo that goes on from here at another speed."""
        return self if speed == self.speed else Tempo(wall=wall, service=self.at(wall), speed=speed)
