"""How soon a submit may start: pure arithmetic over the submits of the last while.

The journal applies it inside the transaction that records a submit, so that it holds over all processes on one journal.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import attrs

from genbridge.catalogue import Limits
from genbridge.types import Media

_CONCURRENT_CHECK = 1.0
"""How often, in seconds, to look whether a running job has ended."""


@attrs.frozen(kw_only=True)
class Rule:
    """Limits, and what they are for: all jobs of a backend, those of a medium, or those of a model (its canonical name)."""

    limits: Limits
    media: Media | None = None
    model: str | None = None

    @property
    def subject(self) -> str:
        """What it is for, in words that follow a noun."""
        return f" of {self.model}" if self.model else f" of {self.media}s" if self.media else ""


@attrs.frozen
class Wait:
    """A submit has to wait for `seconds`, for the `reason` given in words."""

    seconds: float
    reason: str


class Limiter(Protocol):
    """Decides instead of the journal when a submit may start."""

    async def reserve(self, backend: str, model: str, rules: Sequence[Rule]) -> Wait | None:
        """Take a place for one submit of a model (its canonical name), or return how long to wait before asking again.

        A place that is taken is not given back: a submit may fail, or wait a moment longer before it starts.
        """


def next_start(recent: Sequence[float], running: int, rule: Rule, now: float) -> Wait | None:
    """Return how long a submit has to wait for a rule, or `None` when it may start.

    `recent` are the times of the submits in the last `limits.per` seconds, oldest first; `running` the jobs the service works on.
    """
    limits, subject = rule.limits, rule.subject
    if limits.concurrent is not None and running >= limits.concurrent:
        return Wait(_CONCURRENT_CHECK, f"{running} jobs{subject} are running, the most at once is {limits.concurrent}")
    if limits.submits is not None and len(recent) >= limits.submits:
        seconds = recent[-limits.submits] + limits.per - now
        return Wait(min(max(seconds, 0.0), limits.per), f"at most {limits.submits} submits{subject} in {limits.per:g} s")
    return None
