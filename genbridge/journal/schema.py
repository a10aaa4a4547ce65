"""The tables of the SQLite journal, as the steps that lead to them: a new file takes all, an old one those it lacks.

A release adds a step and changes none, so that every journal ever written can be opened.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

_FIRST = """
create table jobs (
  id text primary key, key text not null unique, attempt text,
  backend text not null, provider text not null, model text not null, provider_model text not null, media text not null,
  status text not null, provider_id text,
  created real not null, submitted real, finished real, progress real,
  owner text, epoch integer not null,
  unit text not null, reserved real, charged real, held integer not null,
  request text not null, quote text not null, cost text, failure text, result text
) strict;
create index jobs_created on jobs (created, id);
create index jobs_backend on jobs (backend, created) where held;
create index jobs_unfinished on jobs (backend, status) where finished is null;
create table submits (backend text not null, at real not null) strict;
create index submits_backend on submits (backend, at);
create table pauses (backend text primary key, until real not null) strict;
create table drivers (owner text primary key, beat real not null) strict;
"""

_SECOND = """
alter table jobs add column save_to text;
alter table jobs add column doubted real;
alter table jobs add column by_hand integer not null default 0;
update jobs set doubted = created where status = 'unknown';
create index jobs_unsaved on jobs (created, id) where save_to is not null and status = 'succeeded';
create index jobs_provider_id on jobs (backend, provider_id) where provider_id is not null;
alter table submits add column media text;
alter table submits add column model text;
alter table submits add column job text;
create index submits_job on submits (job) where job is not null;
alter table pauses rename to old_pauses;
create table pauses (
  backend text not null, what text not null, at real not null, seconds real not null, primary key (backend, what)
) strict;
insert into pauses select backend, 'submits', until - 120, 120 from old_pauses;
drop table old_pauses;
alter table drivers add column tick real;
"""

_THIRD = """
alter table jobs add column intended real;
update jobs set held = 1 where status = 'succeeded';
"""

_MILLIONTHS = (
    "coalesce(case when {0} > 1e9 then 1e15 when {0} < -1e9 then -1e15 "
    "else cast({0} * 1000000 + 0.5 - ({0} < 0) as integer) end, 0)"
)
_DAY = "cast({} / 86400 as integer)"
_SENT = _DAY.format("coalesce({0}intended, {0}created)")
"""The day on which a job was sent last, and until it is that on which it was recorded."""
_SPENT = {
    "day": _DAY.format("{0}created"),
    "backend": "{0}backend",
    "provider": "{0}provider",
    "model": "{0}model",
    "media": "{0}media",
    "unit": "{0}unit",
    "jobs": "1",
    "charged": _MILLIONTHS.format("{0}charged"),
    "estimated": f"iif({{0}}guessed, {_MILLIONTHS.format('{0}charged')}, 0)",
    "reserved": f"iif({{0}}held and {{0}}charged is null and {{0}}finished is null, {_MILLIONTHS.format('{0}reserved')}, 0)",
    "unpriced": "{0}held and {0}charged is null and {0}reserved is null",
}
_USED = {
    "backend": "{0}backend",
    "sent": _SENT,
    "held": "{0}held",
    "counted": f"iif({{0}}held, {_MILLIONTHS.format('coalesce({0}charged, {0}reserved)')}, 0)",
}
_TOTALS = {"spent": (_SPENT, 6), "used": (_USED, 2)}
"""What a row of `jobs` adds to each table of totals: to which row, by so many columns, and what; an amount is in whole millionths.

They add up exactly as long as a sum is under nine thousand million. One job counts for a thousand million at the most, so that no
nonsense of a service's spoils a sum for good. No function is called, as a statement that may fail in the middle is prepared for
being undone, which costs more than all of this; `coalesce` and `iif` are none to SQLite.
"""
_MATTERS = ("created", "backend", "provider", "model", "media", "unit", "reserved", "charged", "held", "guessed", "finished")
"""The columns of a row that its share comes from, beside the day on which it was sent."""


def _listed(names: Iterable[str], form: str = "{}") -> str:
    return ", ".join(form.format(name) for name in names)


def _which(table: str, row: str) -> str:
    share, keys = _TOTALS[table]
    return " and ".join(f"{name} = {share[name].format(row)}" for name in tuple(share)[:keys])


def _change(row: str, sign: str) -> str:
    """Return what a trigger does to add (`+`) a row's share to the totals, or to take it out (`-`)."""
    return " ".join(_change_one(table, row, sign) for table in _TOTALS)


def _change_one(table: str, row: str, sign: str) -> str:
    share, keys = _TOTALS[table]
    new = (f"{name} = {name} {sign} ({share[name].format(row)})" for name in tuple(share)[keys:])
    return f"update {table} set {_listed(new)} where {_which(table, row)};"  # noqa: S608 (our own names)


def _give(row: str) -> str:
    """Return what a trigger does to add a row's share, where it may be the first."""
    return f"{' '.join(_begin_one(table, row) for table in _TOTALS)} {_change(row, '+')}"


def _begin_one(table: str, row: str) -> str:
    share, keys = _TOTALS[table]
    first = [text.format(row) for text in tuple(share.values())[:keys]] + ["0"] * (len(share) - keys)
    return f"insert into {table} select {_listed(first)} where not exists (select 1 from {table} where {_which(table, row)});"  # noqa: S608 (our own names)


def _state(row: str) -> str:
    return f"({_listed(_MATTERS, row + '{}')}, {_SENT.format(row)})"


_VIEW = _listed(f"{text.format('')} as {name}" for name, text in (_SPENT | _USED).items())
_DAYS = _listed(tuple(_SPENT)[:6])

# What was spent is kept ready by the transaction that changes it, whichever that is.
_FOURTH = f"""
drop index jobs_backend;
drop index jobs_unfinished;
create index jobs_unfinished on jobs (backend, status, media, model) where finished is null;
create index jobs_of_backend on jobs (backend, created);
create index jobs_ended on jobs (status, created) where finished is not null;
create index jobs_ended_of_backend on jobs (backend, status, created) where finished is not null;
alter table jobs add column guessed integer not null default 0;
update jobs set guessed = 1 where case when json_valid(cost) then json_extract(cost, '$.certainty') is not null else 0 end;
create table spent (
  day integer not null, backend text not null, provider text not null, model text not null, media text not null, unit text not null,
  jobs integer not null, charged real not null, estimated real not null, reserved real not null, unpriced integer not null,
  primary key (day, backend, provider, model, media, unit)
) strict, without rowid;
create table used (
  backend text not null, sent integer not null, held integer not null, counted real not null, primary key (backend, sent)
) strict, without rowid;
create view shares as select id, created, {_VIEW} from jobs;
insert into spent select {_DAYS}, {_listed(tuple(_SPENT)[6:], "total({})")} from shares group by {_DAYS};
insert into used select backend, sent, total(held), total(counted) from shares group by backend, sent;
create trigger jobs_added after insert on jobs begin {_give("new.")} end;
create trigger jobs_removed after delete on jobs begin {_change("old.", "-")} end;
create trigger jobs_changed after update of {_listed(_MATTERS)}, intended on jobs when {_state("old.")} is not {_state("new.")}
  begin {_change("old.", "-")} {_give("new.")} end;
"""  # noqa: S608 (our own names)

_FIFTH = """
create table durations (
  provider text not null, model text not null, media text not null, variant text not null, phase text not null,
  count real not null, mean real not null, squares real not null, odd real not null, odd_mean real not null,
  primary key (provider, model, media, variant, phase)
) strict, without rowid;
"""

_STEPS = (_FIRST, _SECOND, _THIRD, _FOURTH, _FIFTH)

VERSION = len(_STEPS)
"""The version of the schema, kept in `user_version`."""


def version(db: sqlite3.Connection) -> int:
    """Return the version of a file's schema; 0 for one without tables of ours."""
    number: int = db.execute("pragma user_version").fetchone()[0]
    return number


def bring_up_to_date(db: sqlite3.Connection) -> None:
    """Take the steps that a file lacks, within the caller's transaction."""
    for step in _STEPS[version(db) :]:
        for statement in step.split(";\n"):
            db.execute(statement)
    db.execute(f"pragma user_version = {VERSION}")
