"""When to ask next: pure functions of what is known and what the time is."""

from __future__ import annotations

import attrs

from genbridge.types import Media

_EAGER = 0.6
"""The share of the expected time before which polls are thinned out."""
_LATE = 1.5
"""The share of the expected time after which polls are thinned out again."""
_THIN = 4.0
"""How many intervals a thinned-out wait may last."""
_RAPID_MISSES = 6
"""Doublings of the interval after failed polls."""
_LONGEST_WAIT = 60.0


@attrs.frozen(kw_only=True)
class PollPolicy:
    """How often to ask about one job, and how long to wait for it; all in seconds.

    `interval` is the shortest time between two polls of one job, as the service documents it. `fixed` asks at that interval
    throughout instead of thinning out while the job cannot be done yet. `timeouts` is how long a wait lasts by default, per
    medium; `timeout`, when it is set, is for all of them. For `grace` seconds after the submit a service may not know the job yet.
    """

    interval: float = 3.0
    fixed: bool = False
    timeouts: dict[Media, float] = attrs.field(factory=lambda: {Media.IMAGE: 600.0, Media.VIDEO: 1800.0})
    timeout: float | None = None
    grace: float = 30.0
    jitter: float = 0.1

    def deadline(self, media: Media) -> float:
        """Return how long a wait for a job of that medium lasts when the caller does not say."""
        return self.timeout if self.timeout is not None else self.timeouts.get(media, 1800.0)

    def delay(self, *, elapsed: float, expected: float | None, hint: float | None, misses: int, chance: float) -> float:
        """Return the seconds until the next poll.

        `elapsed` is the time since the submit, `expected` how long the job usually takes, `hint` what the service asked for,
        `misses` the polls that failed in a row, and `chance` a number in [0, 1) for the jitter.
        """
        wait = self.interval * 2.0 ** min(misses, _RAPID_MISSES)
        if not misses and not self.fixed:
            wait = self._thinned(elapsed, expected)
        wait = min(max(wait, self.interval), max(_LONGEST_WAIT, self.interval))
        wait = max(wait, hint or 0.0)
        return wait * (1 + self.jitter * chance)

    def _thinned(self, elapsed: float, expected: float | None) -> float:
        longest = self.interval * _THIN
        if expected is None or elapsed < self.interval:
            return self.interval
        if elapsed < expected * _EAGER:
            return min(expected * _EAGER - elapsed, longest)
        if elapsed > expected * _LATE:
            return min((elapsed - expected) / 10, longest)
        return self.interval
