"""When to ask next: pure functions of what was learned, what was seen of a job, and what the time is.

Asking at a fixed interval costs polls x latency = half the duration, whatever the interval. Where the duration can be foretold,
that product is least when polls are as dense as the square root of the chance that the job is done in the next moment (its
hazard). Where it cannot, no wait may be much longer than the mean one so far.
"""

from __future__ import annotations

from bisect import bisect_left
from functools import lru_cache
from math import exp, inf, lgamma, log, log1p, pi, sqrt

import attrs

from genbridge.durations import Learned, forecast
from genbridge.types import Media

_RAPID_MISSES = 6
"""Doublings of the interval after failed polls."""
_LONGEST_MISS = 60.0
_LONGEST_WAIT = 90.0
"""The most seconds between two polls of a job, whatever was learned: what it may cost when durations have changed."""

_DENSITY = 1.35
"""Polls an interval where they are densest, once many jobs are known; as the interval is the least, the peak is flat then."""
_FEW = 1.7
"""Of how many jobs known polls are half as dense."""
_FIRST = 1.2
"""How much longer than the steps after it the one to the first poll is: before it there is nobody who waits."""
_LATE = 0.5
"""How much before the median (of the logarithm) the first poll is made at the latest when one job is known; less with each more."""
_NOT_WORSE = 1.05
"""How much longer a wait may be than the mean one so far. With 1, polls x latency is that of a fixed interval, however long the job
takes."""
_SAFE = 0.776
"""Up to which share of the median hardly anything is lost by waiting, should the job take half as long now: ..."""
_SAFER = 0.36
"""... as many more medians as the interval has times this, as asking at the interval finds a job half an interval late too, ..."""
_SAFEST = 0.788
"""... but up to no more than this share."""
_CHECK = 1.7
"""How many spreads after half the median some jobs are looked at before, so that it is noticed that they take half as long ..."""
_DOUBTFUL_CHECK = 0.65
"""... and at which every job is, while others have come early."""

_ANSWER = 1.0
"""How many seconds before somebody gives up waiting to ask for the last time, so that the answer is there in time."""

_CLOSER = 0.8
"""The share of the rest of a job, as its percentage foretells it, after which to ask again ..."""
_NEAR = 4.0
"""... as long as that is more than so many intervals. Then the next poll is aimed at its end."""
_TRUST = 3.0
"""How much longer than `_NOT_WORSE` a wait may be when a percentage says so."""

_STEP = 0.1
"""How many spreads apart the points of a curve are ..."""
_REACH = 7.0
"""... and how many it reaches from the median."""
_COARSE = 0.03
"""How exact spreads are, so that few curves have to be made."""


@attrs.define
class Seen:
    """What was seen of a job by the polls that were answered. Times are seconds since the service accepted it."""

    polls: int = 0
    at: float = 0.0
    """The time of the last of them, when the job was not done."""
    progress: float = 0.0
    """The last percentage that was new, from 0 to 1."""
    progress_at: float = 0.0
    """When it was seen."""
    end: float | None = None
    """When the job will be done by its percentage."""
    queued: float = 0.0
    """The time of the last that said that the job had not begun."""
    began: float | None = None
    """The time of the first after it that said that the job had."""
    missed: bool = attrs.field(default=False, kw_only=True)
    """Whether any poll has failed since the last that was answered."""

    def note(self, elapsed: float, progress: float | None, *, queued: bool = False) -> None:
        """Take in one more answer."""
        self.polls, self.at, self.missed = self.polls + 1, elapsed, False
        if queued:
            self.queued, self.began = elapsed, None
        elif self.queued:
            self.began = self.began or elapsed
        if progress is not None and self.progress < progress < 1.0 and elapsed > self.progress_at:
            lately = elapsed + (1 - progress) * (elapsed - self.progress_at) / (progress - self.progress)
            self.progress, self.progress_at, self.end = progress, elapsed, min(lately, elapsed / progress)

    def miss(self) -> None:
        """Take in that a poll has failed."""
        self.missed = True

    @property
    def start(self) -> float | None:
        """When the service began to work on the job, if that was seen: between two polls."""
        return None if self.began is None else (self.queued + self.began) / 2


@attrs.frozen
class Outlook:
    """When to look at jobs that take a median of so many seconds, as long as nothing more is known of one."""

    median: float
    spread: float
    curve: tuple[float, ...]
    """How many polls, of one a median where they are densest, are made up to so many spreads from the median."""
    step: float
    """The length of the curve from one poll to the next."""
    latest: float
    """When the first poll is made at the latest."""
    safe: float
    """When the first poll may be made at the latest, should such jobs take half as long now."""
    early: bool
    """Whether jobs have come early lately."""

    def first(self, chance: float) -> float:
        """Return the seconds after which to ask for the first time. With some chance that is early, to notice a change."""
        wait = min(self._time(self.step * _FIRST), self.latest)
        if self.early:
            return min(wait, self.median * _DOUBTFUL_CHECK)
        check = min(self.median * exp(_CHECK * self.spread) / 2, self.safe)
        return check if wait > self.safe and chance < (wait - self.safe) / (wait - check) else wait

    def after(self, elapsed: float) -> float:
        """Return the seconds from one poll to the next; infinity where nothing is known of jobs that take that long."""
        share = elapsed / self.median
        place = (log(share) / self.spread + _REACH) / _STEP if share > 0 else 0.0
        point = int(max(place, 0.0))
        if point + 1 >= len(self.curve):
            return inf
        here = self.curve[point] + (max(place, 0.0) - point) * (self.curve[point + 1] - self.curve[point])
        return self._time(here + self.step) - elapsed

    def _time(self, polls: float) -> float:
        point = bisect_left(self.curve, polls)
        if point >= len(self.curve):
            return inf
        before = self.curve[point - 1]
        place = point - 1 + (polls - before) / (self.curve[point] - before)
        return self.median * exp(self.spread * (place * _STEP - _REACH))


@lru_cache(maxsize=1024)
def outlook(learned: Learned, interval: float) -> Outlook:
    """Return when to look at the next job, of what was learned of others."""
    likely = forecast(learned)
    size = round(log(likely.spread) / _COARSE)
    freedom = float(round(likely.freedom)) if likely.freedom < 10 else 10.0 * round(likely.freedom / 10)
    step = interval / likely.median / _DENSITY * (1 + _FEW / learned.count)
    latest = interval if likely.median < 2 * interval else likely.median * exp(-_LATE / learned.count)
    safe = likely.median * min(_SAFE + _SAFER * interval / likely.median, _SAFEST)
    return Outlook(likely.median, exp(size * _COARSE), _curve(size, freedom), step, latest, safe, learned.odd < 0)


@lru_cache(maxsize=256)
def _curve(size: int, freedom: float) -> tuple[float, ...]:
    """Return how many polls are made up to each point, when there is one a median where they are densest."""
    spread = exp(size * _COARSE)
    points = [index * _STEP - _REACH for index in range(round(2 * _REACH / _STEP) + 1)]
    constant = exp(lgamma((freedom + 1) / 2) - lgamma(freedom / 2)) / sqrt(freedom * pi)
    chances = [constant * exp(-(freedom + 1) / 2 * log1p(point * point / freedom)) for point in points]
    times = [exp(spread * point) for point in points]
    left, densities = chances[-1] * points[-1] / freedom, []
    for index in range(len(points) - 1, -1, -1):
        densities.append(sqrt(chances[index] / left / (spread * times[index])))
        left += (chances[index] + chances[index - 1]) / 2 * _STEP if index else 0.0
    densities.reverse()
    peak, made = max(densities), [0.0]
    for index in range(1, len(points)):
        between = (densities[index] + densities[index - 1]) / 2 / peak
        made.append(made[-1] + between * (times[index] - times[index - 1]))
    return tuple(made)


@attrs.frozen(kw_only=True)
class PollPolicy:
    """How often to ask about one job, and how long to wait for it; all in seconds.

    `interval` is the shortest time between two polls of one job, as the service documents it. `fixed` asks at that interval
    throughout instead of by what was learned of earlier jobs. `timeouts` is how long a wait lasts by default, per
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

    def delay(
        self,
        *,
        elapsed: float,
        seen: Seen | None = None,
        learned: Learned | None = None,
        running: Learned | None = None,
        hint: float | None = None,
        misses: int = 0,
        left: float = inf,
        chance: float,
    ) -> float:
        """Return the seconds until the next poll.

        `elapsed` is the time since the submit, `seen` what was seen of the job, `learned` what is known of earlier ones and
        `running` of the time for which the service worked on them, `hint` what the service asked for, `misses` the polls that
        failed in a row, `left` the time until somebody gives up waiting, and `chance` a number in [0, 1) for the jitter, and for
        an early look.
        """
        floor = max(self.interval, hint or 0.0)
        if misses:
            wait = min(self.interval * 2.0 ** min(misses, _RAPID_MISSES), max(_LONGEST_MISS, self.interval))
            return max(wait, floor) * (1 + self.jitter * chance)
        wait = max(self._wait(elapsed, seen or Seen(), learned, running, chance), floor)
        width = min(wait * self.jitter, self.interval)
        wait = max(floor, wait - width / 2) + width * chance
        last = left - _ANSWER
        return last if floor <= last < wait else wait

    def sooner(self, *, elapsed: float, seen: Seen, due: float, left: float) -> float | None:
        """Return in how many seconds to ask for the last time before somebody gives up, if the next poll is due after that."""
        last, floor = left - _ANSWER, max(self.interval, seen.at + self.interval - elapsed)
        return last if elapsed < due and floor <= last < due - elapsed else None

    def _wait(self, elapsed: float, seen: Seen, learned: Learned | None, running: Learned | None, chance: float) -> float:
        """Return the seconds until the next poll by what is known of the job, and at least the interval."""
        interval = self.interval
        if self.fixed:
            return interval
        if seen.polls == 0:
            wait = interval if learned is None else outlook(learned, interval).first(chance) - elapsed
            return max(min(wait, _LONGEST_WAIT), interval)
        not_worse = _NOT_WORSE * elapsed / (seen.polls + 1)
        if seen.end is not None and seen.end > elapsed:
            rest = seen.end - elapsed
            wait = rest * _CLOSER if rest > _NEAR * interval else rest + interval / 10
            return max(min(wait, _TRUST * not_worse, _LONGEST_WAIT), interval)
        if not_worse <= interval:
            return interval
        if running is not None and seen.start is not None:
            learned, elapsed = running, elapsed - seen.start
        wait = not_worse if learned is None else min(not_worse, outlook(learned, interval).after(elapsed))
        return max(min(wait, _LONGEST_WAIT), interval)
