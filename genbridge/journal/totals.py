"""What jobs have cost and reserve, in all: sums that the tables `spent` and `used` have ready, in whole millionths."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import attrs

from genbridge.budgets import Usage, Used
from genbridge.journal.database import Database
from genbridge.types import Media, Spent

_DAY = 86400.0
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC).date()
_MILLION = 1e6

_USED = """
select total(counted), total(held), total(counted) filter (where sent >= :today), total(held) filter (where sent >= :today)
from used where backend = :backend
"""
_OWN = "select sent, held, counted from shares where id = ?"
_SPENT = """
select day, backend, provider, model, media, unit, jobs, charged, estimated, reserved, unpriced
from spent where day >= :first and jobs > 0
union all
select day, backend, provider, model, media, unit, sum(jobs), total(charged), total(estimated), total(reserved), sum(unpriced)
from shares where created >= :since and created < :first * 86400.0 group by day, backend, provider, model, media, unit
order by day, backend, model, media
"""


def usage(db: Database, backend: str, now: float, *, but: str = "") -> Usage:
    """Return what counts against a backend's caps at a time (seconds), without what one job does."""
    today = now // _DAY
    amount, jobs, amount_today, jobs_today = db.execute(_USED, {"backend": backend, "today": today}).fetchone()
    found = Usage(today=_used(amount_today, jobs_today), ever=_used(amount, jobs))
    own = db.execute(_OWN, (but,)).fetchone() if but else None
    if own is None:
        return found
    ever = _less(found.ever, own)
    return attrs.evolve(found, ever=ever, today=_less(found.today, own) if own["sent"] >= today else found.today)


def _used(amount: float, jobs: float) -> Used:
    return Used(amount=amount / _MILLION, jobs=int(jobs))


def _less(used: Used, own: Any) -> Used:
    return Used(amount=used.amount - own["counted"] / _MILLION, jobs=used.jobs - own["held"])


def spent(db: Database, since: float) -> Sequence[Spent]:
    """Return what jobs created since a time (seconds) have cost, by day, backend and model.

    Whole days are ready; only a part of one is added up from its jobs.
    """
    return [_spent(row) for row in db.execute(_SPENT, {"since": since, "first": math.ceil(since / _DAY)})]


def _spent(row: Any) -> Spent:
    day, backend, provider, model, media, unit, jobs, charged, estimated, reserved, unpriced = row
    return Spent(
        day=_EPOCH + timedelta(days=day),
        backend=backend,
        provider=provider,
        model=model,
        media=Media(media),
        unit=unit,
        jobs=jobs,
        charged=charged / _MILLION,
        estimated=estimated / _MILLION,
        reserved=reserved / _MILLION,
        unpriced=unpriced,
    )
