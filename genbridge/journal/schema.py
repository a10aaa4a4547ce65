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

_DURATIONS = """
create table durations (
  provider text not null, model text not null, media text not null, variant text not null, phase text not null,
  count real not null, mean real not null, squares real not null, odd real not null, odd_mean real not null,
  primary key (provider, model, media, variant, phase)
) strict, without rowid;
"""

_STEPS = (_FIRST, _SECOND, _DURATIONS)

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
