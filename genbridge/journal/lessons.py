"""What is on record of how long jobs take: one row for each sort of job."""

from __future__ import annotations

import logging
from math import isfinite

import attrs

from genbridge.durations import Key, Learned, Lesson, learn
from genbridge.journal.database import Database

_log = logging.getLogger(__name__)

_KEY = "provider = ? and model = ? and media = ? and variant = ? and phase = ?"
_ONE = f"select count, mean, squares, odd, odd_mean from durations where {_KEY}"  # noqa: S608 (our own words)
_ALL = "select provider, model, media, variant, phase, count, mean, squares, odd, odd_mean from durations"
_KEEP = (
    "insert into durations values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) on conflict (provider, model, media, variant, phase) do update "
    "set count = excluded.count, mean = excluded.mean, squares = excluded.squares, odd = excluded.odd, odd_mean = excluded.odd_mean"
)


def durations(db: Database) -> dict[Key, Learned]:
    """Return all that was learned."""
    rows = {Key(*row[:5]): Learned(*row[5:]) for row in db.execute(_ALL)}
    return {key: learned for key, learned in rows.items() if learned.sound}


def learned(db: Database, key: Key) -> Learned | None:
    """Return what was learned of one sort of job."""
    row = db.execute(_ONE, attrs.astuple(key)).fetchone()
    return Learned(*row) if row is not None and Learned(*row).sound else None


def take_in(db: Database, lesson: Lesson) -> None:
    """Keep what a job teaches; that it cannot be learned must not keep its end from being recorded."""
    try:
        values = attrs.astuple(learn(learned(db, lesson.key), lesson.least, lesson.most))
    except (ArithmeticError, ValueError) as error:
        _log.warning("nothing is learned of how long %s takes: %s", lesson.key.model, error)
        return
    if all(map(isfinite, values)):
        db.execute(_KEEP, (*attrs.astuple(lesson.key), *values))
