"""How soon a submit may be sent, from what is on record of those before it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import attrs

from genbridge.journal import Paused
from genbridge.journal.database import Database, Drivers, Rows
from genbridge.limits import Rule, Wait, next_start

_DOUBT_LASTS = 1800.0
"""Seconds for which a job that may have been accepted, or that nobody follows, counts as one that the service works on."""
_ANSWER_LASTS = 120.0
"""Seconds after which a submit that was never answered is taken to have reached the service."""

_BEGIN = "insert into submits (backend, media, model, at, job) values (?, ?, ?, ?, ?)"
_ANSWER = "update submits set at = ?, job = null where job = ?"
_FORGET = "delete from submits where backend = ? and at <= ? and (model is null or (media = ? and model = ?))"
"""Only those of the job's own model: its rules are all that count them, while a limit of another may look back further."""
_ANSWERED = "select at from submits where backend = ? and job is null and at > ?{match} order by at desc limit ?"
_WAITING = "select at from submits indexed by submits_job where backend = ? and job is not null{match}"
_RUNNING = (
    "select count(*) from jobs where backend = ? and finished is null and status in ('submitting', 'queued', 'running'){match}"
)
_DOUBTED = "select count(*) from jobs where backend = ? and finished is null and status = 'unknown' and doubted > ?{match}"
_STALE = _RUNNING.replace("select ", "select owner, ") + " and coalesce(submitted, intended, created) <= ? group by owner"
_PAUSE = (
    "insert into pauses (backend, what, at, seconds) values (?, ?, ?, ?) "
    "on conflict (backend, what) do update set at = excluded.at, seconds = excluded.seconds"
)


@attrs.frozen
class _Scope:
    """What a rule counts: the submits and jobs of a backend, or those of a medium or a model there."""

    backend: str
    rule: Rule

    @property
    def _given(self) -> dict[str, str]:
        which = {"media": self.rule.media, "model": self.rule.model}
        return {name: value for name, value in which.items() if value is not None}

    def rows(self, db: Database, statement: str, *before: object, after: Sequence[object] = ()) -> Rows:
        """Return the rows of a statement; `before` and `after` are its values around those of the scope."""
        match = "".join(f" and {name} = ?" for name in self._given)
        return db.execute(statement.format(match=match), (*before, *self._given.values(), *after))

    def count(self, db: Database, statement: str, *before: object, after: Sequence[object] = ()) -> int:
        """Return the number that a statement counts."""
        number: int = self.rows(db, statement, *before, after=after).fetchone()[0]
        return number


class Pace:
    """The record of submits and pauses. `now` tells the wall-clock time in seconds, and `drivers` knows who is alive."""

    def __init__(self, now: Callable[[], float], drivers: Drivers) -> None:
        self._now = now
        self._drivers = drivers

    def wait(self, db: Database, backend: str, media: str, model: str, rules: Sequence[Rule]) -> Wait | None:
        """Return how long a submit to a backend has to wait, if at all."""
        now = self._now()
        if seconds := self.paused(db, Paused.SUBMITS).get(backend):
            return Wait(seconds, "the service asked for a pause")
        self.forget(db, backend, media, model, rules)
        if rules:
            _set_back(db, backend, now)
        waits = [wait for rule in rules if (wait := self._wait_for(db, _Scope(backend, rule), now))]
        return max(waits, key=lambda wait: wait.seconds, default=None)

    def _wait_for(self, db: Database, scope: _Scope, now: float) -> Wait | None:
        """Return how long one rule asks to wait."""
        limits = scope.rule.limits
        recent = [] if limits.submits is None else _recent(db, scope, limits.submits, now)
        running = 0 if limits.concurrent is None else self._running(db, scope, limits.concurrent, now)
        return next_start(recent, running, scope.rule, now)

    def _running(self, db: Database, scope: _Scope, most: int, now: float) -> int:
        """Return how many jobs the service works on; whether those that nobody follows do count matters only when they are many."""
        since = now - _DOUBT_LASTS
        running = scope.count(db, _RUNNING, scope.backend) + scope.count(db, _DOUBTED, scope.backend, since)
        if running < most:
            return running
        stale = scope.rows(db, _STALE, scope.backend, after=(since,)).fetchall()
        return running - sum(int(count) for owner, count in stale if owner != self._drivers.name and self._drivers.free(db, owner))

    def forget(self, db: Database, backend: str, media: str, model: str, rules: Sequence[Rule] = ()) -> None:
        """Forget submits that no rule looks back to."""
        longest = max((rule.limits.per for rule in rules), default=0.0)
        db.execute(_FORGET, (backend, self._now() - longest - _ANSWER_LASTS, media, model))

    def began(self, db: Database, job_id: str, backend: str, media: str, model: str) -> None:
        """Record that a submit is about to be sent."""
        db.execute(_BEGIN, (backend, media, model, self._now(), job_id))

    def answered(self, db: Database, job_id: str) -> None:
        """Record that what became of a job's submit is known."""
        db.execute(_ANSWER, (self._now(), job_id))

    def pause(self, db: Database, backend: str, seconds: float, what: Paused) -> None:
        """Leave a backend alone for that long, unless it is for longer already."""
        if seconds > self.paused(db, what).get(backend, 0.0):
            db.execute(_PAUSE, (backend, what, self._now(), seconds))

    def paused(self, db: Database, what: Paused) -> dict[str, float]:
        """Return for how many seconds more each backend is to be left alone."""
        now = self._now()
        rows = db.execute("select backend, at, seconds from pauses where what = ?", (what,)).fetchall()
        if any(at > now for _, at, _ in rows):
            # A clock that was set back must not make a pause longer than it was.
            db.execute("update pauses set at = ? where at > ?", (now, now))
        left = {backend: min(at, now) + seconds - now for backend, at, seconds in rows}
        return {backend: seconds for backend, seconds in left.items() if seconds > 0}


def _set_back(db: Database, backend: str, now: float) -> None:
    """Count times that a clock that was set back has left in the future as of now."""
    db.execute("update submits set at = ? where backend = ? and at > ?", (now, backend, now))
    late = "update jobs set doubted = ? where backend = ? and finished is null and status = 'unknown' and doubted > ?"
    db.execute(late, (now, backend, now))


def _recent(db: Database, scope: _Scope, most: int, now: float) -> list[float]:
    """Return when the last submits arrived, as many as matter, oldest first.

    A submit counts from its answer, as nobody knows when between its intent and its answer it arrived.
    """
    since = now - scope.rule.limits.per
    answered = scope.rows(db, _ANSWERED, scope.backend, since, after=(most,))
    waiting = scope.rows(db, _WAITING, scope.backend)
    times = [at for at in (*(at for (at,) in answered), *(min(now, at + _ANSWER_LASTS) for (at,) in waiting)) if at > since]
    return sorted(times)[-most:] if most else times
