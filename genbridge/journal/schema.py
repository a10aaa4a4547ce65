"""The tables of the SQLite journal, as the steps that lead to them: a new file takes all, an old one those it lacks.

A release adds a step and changes none, so that every journal ever written can be opened.
"""

from __future__ import annotations

import sqlite3

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

_GIVE = (
    "insert into spent values (new.day, new.backend, new.provider, new.model, new.media, new.unit, "
    "1, new.paid, new.guessed, new.open, new.unpriced, new.held, new.counted) "
    "on conflict do update set jobs = jobs + 1, charged = charged + new.paid, estimated = estimated + new.guessed, "
    "reserved = reserved + new.open, unpriced = unpriced + new.unpriced, held = held + new.held, counted = counted + new.counted; "
    "insert into used values (new.backend, new.held, new.counted) "
    "on conflict do update set held = held + new.held, counted = counted + new.counted;"
)
"""What a trigger does to add the row that there is now to the totals."""
_TAKE = (
    "update spent set jobs = jobs - 1, charged = charged - old.paid, estimated = estimated - old.guessed, "
    "reserved = reserved - old.open, unpriced = unpriced - old.unpriced, held = held - old.held, counted = counted - old.counted "
    "where day = old.day and backend = old.backend and provider = old.provider and model = old.model and media = old.media "
    "and unit = old.unit; "
    "update used set held = held - old.held, counted = counted - old.counted where backend = old.backend;"
)
"""What a trigger does to take the row that there was out of the totals."""
_MATTERS = "created, backend, provider, model, media, unit, reserved, charged, held, cost, finished"
"""The columns of a job's row that its share of the totals comes from."""
_KEY = "day, backend, provider, model, media, unit"


def _row(name: str) -> str:
    return ", ".join(f"{name}.{column}" for column in _MATTERS.split(", "))


# What was spent is kept ready by the transaction that changes it, whichever that is. Amounts are whole millionths, which add up
# exactly as long as a sum is under nine thousand million; one job counts for a thousand million at the most, so that no nonsense
# of a service's spoils a sum for good. A cost that cannot be read is no estimate.
_THIRD = f"""
drop index jobs_backend;
drop index jobs_unfinished;
create index jobs_unfinished on jobs (backend, status, media, model) where finished is null;
create index jobs_of_backend on jobs (backend, created);
create index jobs_ended on jobs (status, created) where status in ('succeeded', 'failed', 'cancelled', 'expired');
create index jobs_ended_of_backend on jobs (backend, status, created)
  where status in ('succeeded', 'failed', 'cancelled', 'expired');
alter table jobs add column day integer as (cast(created / 86400 as integer));
alter table jobs add column paid real as (coalesce(min(max(round(charged * 1000000), -1e15), 1e15), 0.0));
alter table jobs add column guessed real as
  (case when json_valid(cost) then iif(json_extract(cost, '$.certainty') is null, 0.0, paid) else 0.0 end);
alter table jobs add column counted real as
  (iif(held, coalesce(min(max(round(coalesce(charged, reserved) * 1000000), -1e15), 1e15), 0.0), 0.0));
alter table jobs add column open real as (iif(charged is null and finished is null, counted, 0.0));
alter table jobs add column unpriced integer as (held and charged is null and reserved is null);
create table spent (
  day integer not null, backend text not null, provider text not null, model text not null, media text not null, unit text not null,
  jobs integer not null, charged real not null, estimated real not null, reserved real not null, unpriced integer not null,
  held integer not null, counted real not null,
  primary key (day, backend, provider, model, media, unit)
) strict, without rowid;
create table used (backend text primary key, held integer not null, counted real not null) strict, without rowid;
insert into spent select {_KEY}, count(*), total(paid), total(guessed), total(open), total(unpriced), total(held), total(counted)
  from jobs group by {_KEY};
insert into used select backend, sum(held), sum(counted) from spent group by backend;
create trigger jobs_added after insert on jobs begin {_GIVE} end;
create trigger jobs_removed after delete on jobs begin {_TAKE} end;
create trigger jobs_changed after update of {_MATTERS} on jobs
  when ({_row("old")}) is not ({_row("new")}) begin {_TAKE} {_GIVE} end;
"""  # noqa: S608 (our own names)

_STEPS = (_FIRST, _SECOND, _THIRD)

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
