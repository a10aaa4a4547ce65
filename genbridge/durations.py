"""How long jobs take, as learned from those before them: pure.

What is learned is of the logarithm of the seconds, so that a change by a factor weighs the same for short jobs and for long ones. A
duration is rarely known exactly: the job was done at some time between the poll before the last and the last.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from math import erfc, exp, inf, log, pi, sqrt

import attrs

from genbridge.types import ImageRequest, Job, Media

_MEMORY = 40.0
"""How many jobs count; what was learned of older ones fades."""
_SPREAD = 0.1
"""The spread that is assumed beside what was seen ..."""
_ASSUMED = 3.0
"""... with the weight of so many jobs, ..."""
_FIRST_SPREAD = 0.7
"""... and what one job leaves open, which fades as more are seen."""
_GUESS = 0.5
"""How much of a job somebody's word for it is worth."""
_ODD = 2.6
"""From how many spreads on a duration is not learned, unless the next ones are like it."""
_EARLY = 0.9
"""The same for one that was done when it was looked at after a long while; that is noticed, and learned all the same."""
_CHANGED = 2.2
"""How far off jobs in a row must have been, together, for it to be a change."""
_WIDE = 0.5
"""From how many spreads on a gap between two polls is so wide that the end of a job is not in its middle."""
_FARTHEST = 50.0
"""No logarithm of a job's seconds is as far from zero."""
_FAR = 9.0
"""So many spreads before the mean nothing ends."""
_DEPTH = 0.56
"""How deep into a long gap between two polls its end is looked for, as a share of the whole time, when durations have changed."""
_TELLING = 3.0
"""From how many jobs on people are told."""
_TENTH = 1.2816
"""The normal quantile of nine in ten ..."""
_TWENTIETH = 1.6449
"""... and that of nineteen in twenty."""


@attrs.frozen(cache_hash=True)
class Key:
    """What durations are kept by: they belong to the service's model, and to what changes them."""

    provider: str
    model: str
    media: str
    variant: str
    phase: str = "whole"

    @property
    def running(self) -> Key:
        """What the time is kept by for which the service works on such a job, without its queue."""
        return _running(self)


@lru_cache(maxsize=1024)
def _running(key: Key) -> Key:
    """Return the one key of many jobs, each of which asks for it at every poll."""
    return attrs.evolve(key, phase="running")


@attrs.frozen(cache_hash=True)
class Learned:
    """What was learned: of how many jobs, the mean of log seconds, and the sum of squared deviations from it.

    `odd` says by how many spreads the last jobs in a row were off, and in which direction; `odd_mean` where they were.
    """

    count: float
    mean: float
    squares: float = 0.0
    odd: float = 0.0
    odd_mean: float = 0.0

    @classmethod
    def guess(cls, seconds: float) -> Learned:
        """Return what is known from somebody's word alone."""
        return cls(_GUESS, log(seconds))

    @property
    def telling(self) -> bool:
        """Whether it was learned of enough jobs to say how long such jobs usually take."""
        return self.count >= _TELLING

    @property
    def sound(self) -> bool:
        """Whether it can have been learned: a record may have been damaged."""
        return self.count >= 1 and abs(self.mean) < _FARTHEST and 0 <= self.squares < inf and abs(self.odd_mean) < _FARTHEST

    def at_pace(self, pace: float) -> Learned:
        """Return the same where the service's time passes so many times faster."""
        return self if pace == 1.0 else attrs.evolve(self, mean=self.mean - log(pace), odd_mean=self.odd_mean - log(pace))


@attrs.frozen
class Lesson:
    """One job that succeeded took more than `least` and no more than `most` seconds of the service's time."""

    key: Key
    least: float
    most: float


@attrs.frozen
class Forecast:
    """How long the next job will take: Student's t of the log seconds, with `freedom`, `median` (in seconds) and `spread`."""

    median: float
    spread: float
    freedom: float

    def quantile(self, normal: float) -> float:
        """Return the seconds that belong to a quantile of the normal distribution, by Cornish and Fisher's expansion."""
        freedom = max(self.freedom, 2.0)
        heavier = (normal**3 + normal) / (4 * freedom)
        heavier += (5 * normal**5 + 16 * normal**3 + 3 * normal) / (96 * freedom**2)
        return self.median * exp(self.spread * (normal + heavier))


@attrs.frozen(kw_only=True)
class Usual:
    """How long such jobs take, in seconds: eight in ten from `low` to `high`, nineteen in twenty no longer than `late`."""

    low: float
    high: float
    late: float


def key_of(job: Job) -> Key:
    """Return what the duration of a job is kept by."""
    request = job.request
    varied: tuple[object, ...]
    if isinstance(request, ImageRequest):
        varied = (request.resolution or request.size, request.quality, request.count)
    else:
        varied = (request.resolution, request.duration)
    variant = " ".join("-" if value is None else str(value) for value in varied)
    return _key(job.provider, job.provider_model, job.media.value, variant)


@lru_cache(maxsize=1024)
def _key(provider: str, model: str, media: str, variant: str) -> Key:
    """Return the one key for all jobs of a sort."""
    return Key(provider, model, media, variant)


def forecast(learned: Learned) -> Forecast:
    """Return what was learned as a distribution of the next duration."""
    assumed = _ASSUMED * _SPREAD**2 + _FIRST_SPREAD**2 / learned.count
    variance = (learned.squares + assumed) / (learned.count + _ASSUMED) * (1 + 1 / learned.count)
    return Forecast(exp(learned.mean), sqrt(variance), learned.count + 1.0)


def usual(learned: Learned | None) -> Usual | None:
    """Return how long jobs usually take, once there were some."""
    if learned is None or not learned.telling:
        return None
    likely = forecast(learned)
    return Usual(low=likely.quantile(-_TENTH), high=likely.quantile(_TENTH), late=likely.quantile(_TWENTIETH))


def merged(several: Sequence[Learned]) -> Learned | None:
    """Return what was learned of several kinds of jobs as of one."""
    count = sum(each.count for each in several)
    if not count:
        return None
    mean = sum(each.count * each.mean for each in several) / count
    return Learned(count, mean, sum(each.squares + each.count * (each.mean - mean) ** 2 for each in several))


def by_model(durations: Mapping[Key, Learned], paces: Mapping[str, float]) -> dict[tuple[str, Media], Usual]:
    """Return how long the models of some providers usually take, whatever is asked of them; each has a pace of its own."""
    several: dict[tuple[str, Media], list[Learned]] = {}
    for key, learned in durations.items():
        if key.provider in paces and key.phase == "whole":
            several.setdefault((key.model, Media(key.media)), []).append(learned.at_pace(paces[key.provider]))
    return {model: found for model, known in several.items() if (found := usual(merged(known)))}


def learn(learned: Learned | None, least: float, most: float) -> Learned:
    """Return what is known after one more job, which took more than `least` and no more than `most` seconds.

    A job that is far off is not learned: it may be a freak. When the next ones are off in the same direction, durations have
    changed, and what was learned before is forgotten.
    """
    low, high = log(max(least, most * _DEPTH)), log(most)
    middle = (low + high) / 2
    if learned is None or learned.count < 1:
        return Learned(1.0, middle)
    spread = forecast(learned).spread
    near, far = (low - learned.mean) / spread, (high - learned.mean) / spread
    limit = _ODD * (1 + 2 / (learned.count + 1))
    unseen = least < most * _DEPTH
    off = _off(near, far, limit, wide=unseen or high - low > spread)
    again = off * learned.odd > 0
    odd, odd_mean = (off + learned.odd, (middle + learned.odd_mean) / 2) if again else (off, middle)
    if again and abs(odd) > _CHANGED:
        return Learned(2.0, odd_mean, 2 * ((middle - odd_mean) ** 2 + learned.squares / learned.count))
    if -limit <= far and near <= limit:
        learned = _taken(learned, *_placed(learned.mean, spread, (-_FAR if unseen else near, far), middle))
    return attrs.evolve(learned, odd=odd, odd_mean=odd_mean)


def _off(near: float, far: float, limit: float, *, wide: bool) -> float:
    """Return by how many spreads a job came too late (above zero) or too early; zero for one like the others.

    That it was done already when it was looked at after a long time is a sign, though it may have been done for long.
    """
    if near > limit:
        return near
    least = _EARLY if wide else limit
    return min(far + _EARLY, 0.0) if far < -least else 0.0


def _placed(mean: float, spread: float, within: tuple[float, float], middle: float) -> tuple[float, float]:
    """Return where in a gap between two polls a job ended, and the variance of that: in the middle, unless the gap is wide."""
    near, far = within
    if far - near < _WIDE:
        return middle, 0.0
    value, doubt = _within(near, far)
    return mean + spread * value, spread**2 * doubt


def _taken(learned: Learned, value: float, doubt: float) -> Learned:
    """Return what is known with one more value, which is in doubt by a variance."""
    count = learned.count + 1.0
    mean = learned.mean + (value - learned.mean) / count
    squares = learned.squares + (value - learned.mean) * (value - mean) + doubt
    fade = min(1.0, _MEMORY / count)
    return Learned(count * fade, mean, squares * fade)


def _within(near: float, far: float) -> tuple[float, float]:
    """Return the mean and the variance of a standard normal value that lies between two."""
    share = _below(far) - _below(near)
    if share < 1e-6:
        return (max(near, min(far, 0.0)), 0.0)
    at_near, at_far = _normal(near), _normal(far)
    mean = (at_near - at_far) / share
    return mean, max(0.0, 1 + (near * at_near - far * at_far) / share - mean**2)


def _normal(value: float) -> float:
    return exp(-value * value / 2) / sqrt(2 * pi)


def _below(value: float) -> float:
    return erfc(-value / sqrt(2)) / 2
