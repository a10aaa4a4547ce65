"""The tables in PostgreSQL, ours and the engine's, as the steps that lead to them: a database takes those it lacks.

A release adds a step and changes none. All are taken in one transaction, which only one process at a time may be in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import attrs
import psycopg
from procrastinate.schema import SchemaManager

from genbridge.databases import DatabaseUrl
from genbridge.errors import JournalError
from genbridge.journal.postgres.connection import SCHEMA, options

T = TypeVar("T")

_OURS = "genbridge"
_ENGINE = "procrastinate"

_BEGINNING = f"""
select pg_advisory_xact_lock(hashtext('{SCHEMA} upgrade'));
create schema if not exists {SCHEMA};
create table if not exists {SCHEMA}.steps (
  part text not null, name text not null, taken timestamptz not null default clock_timestamp(), primary key (part, name)
);
"""

_FIRST = """
create table jobs (
  id text collate "C" primary key, key text collate "C" not null unique, attempt text,
  backend text collate "C" not null, provider text collate "C" not null, model text collate "C" not null,
  provider_model text not null, media text collate "C" not null, status text collate "C" not null, provider_id text collate "C",
  created double precision not null, submitted double precision, finished double precision, progress double precision,
  owner text collate "C", epoch integer not null,
  unit text collate "C" not null, reserved double precision, charged double precision, held integer not null,
  request text not null, quote text not null, cost text, failure text, result text,
  save_to text, doubted double precision, by_hand integer not null default 0, intended double precision,
  guessed integer not null default 0, cancel_asked double precision, cancel_answer text
);
create index jobs_created on jobs (created, id);
create index jobs_unfinished on jobs (backend, status, media, model) where finished is null;
create index jobs_of_backend on jobs (backend, created);
create index jobs_ended on jobs (status, created) where finished is not null;
create index jobs_ended_of_backend on jobs (backend, status, created) where finished is not null;
create index jobs_unsaved on jobs (created, id) where save_to is not null and status = 'succeeded';
create index jobs_provider_id on jobs (backend, provider_id) where provider_id is not null;
create table submits (
  backend text collate "C" not null, at double precision not null, media text collate "C", model text collate "C",
  job text collate "C"
);
create index submits_backend on submits (backend, at);
create index submits_job on submits (job) where job is not null;
create table pauses (
  backend text collate "C" not null, what text not null, at double precision not null, seconds double precision not null,
  primary key (backend, what)
);
create table drivers (owner text collate "C" primary key, beat double precision not null, batch bigint not null);
create table durations (
  provider text not null, model text not null, media text not null, variant text not null, phase text not null,
  count double precision not null, mean double precision not null, squares double precision not null,
  odd double precision not null, odd_mean double precision not null,
  primary key (provider, model, media, variant, phase)
);
create table sweeps (what text primary key, at double precision not null);
create table reports (owner text collate "C" primary key, at double precision not null, report text not null);

-- What SQLite has too.
create aggregate total(double precision) (sfunc = float8pl, stype = double precision, initcond = '0');
create function json_extract(document text, path text) returns text language plpgsql immutable as $$
begin
  return document::json #>> string_to_array(substr(path, 3), '.');
exception when others then
  return null;
end $$;

-- Transactions: one writes at a time, and says so.
create function lock_number() returns bigint language sql immutable as $$ select hashtext('genbridge journal')::bigint $$;
create function moment() returns double precision language sql stable as $$
  select current_setting('genbridge.moment')::double precision
$$;
-- Who waits stands in line for a second lock, and only the first in it for the turn itself. That one looks each second who has it:
-- a session that waits for its client and was asked for nothing since the last look was stopped or cut off, and is ended. Only
-- those of the tables' owner can be: others do not go ahead, and are ended by their idle timeout.
create function line_number() returns bigint language sql immutable as $$ select hashtext('genbridge line')::bigint $$;
create function take_turn() returns void language plpgsql security definer
  set search_path = genbridge, pg_catalog, pg_temp set lock_timeout = '1s' as $$
declare
  idle record;
  before record;
begin
  loop
    begin
      perform pg_advisory_xact_lock(lock_number());
      return;
    exception when lock_not_available then
      perform pg_stat_clear_snapshot();
      select pid, state_change into idle from pg_stat_activity join pg_locks using (pid)
        where datname = current_database() and usename = current_user and wait_event_type = 'Client'
        and locktype = 'advisory' and granted and (classid::bigint << 32 | objid::bigint) = lock_number();
      if idle = before then
        perform pg_terminate_backend(idle.pid);
      end if;
      before := idle;
    end;
  end loop;
end $$;
create function wait_for_turn() returns void language plpgsql as $$
begin
  perform pg_advisory_lock(line_number());
  perform take_turn();
  perform pg_advisory_unlock(line_number());
end $$;
create function enter(me text, number bigint, told double precision) returns double precision language plpgsql as $$
declare
  moment double precision;
  said text;
begin
  if number > 0 and not pg_try_advisory_xact_lock(lock_number()) then
    perform wait_for_turn();
  end if;
  moment := coalesce(told, extract(epoch from clock_timestamp()));
  if number > 0 then
    insert into drivers values (me, moment, number) on conflict (owner) do update set beat = excluded.beat, batch = excluded.batch
      where drivers.batch < excluded.batch;
    if not found then
      raise exception 'transaction % comes after it was given up', number;
    end if;
  end if;
  said := set_config('genbridge.moment', moment::text, false);
  return moment;
end $$;
-- Whether a transaction was committed whose connection was lost; if not, it cannot come any more, as a later number is taken.
create function took_place(me text, number bigint, another bigint, told double precision) returns boolean language plpgsql as $$
begin
  perform wait_for_turn();
  if exists (select 1 from drivers where owner = me and batch = number) then
    return true;
  end if;
  perform enter(me, another, told);
  return false;
end $$;

-- What was spent is kept ready by the transaction that changes it: shares of jobs come and go, and are added up at its end.
-- A sum is in whole millionths.
create table spent_sums (
  day integer not null, backend text collate "C" not null, provider text collate "C" not null, model text collate "C" not null,
  media text collate "C" not null, unit text collate "C" not null,
  jobs integer not null, charged double precision not null, estimated double precision not null, reserved double precision not null,
  unpriced integer not null, primary key (day, backend, provider, model, media, unit)
);
create table used_sums (
  backend text collate "C" not null, sent integer not null, held integer not null, counted double precision not null,
  primary key (backend, sent)
);
create function millionths(amount double precision) returns double precision language sql immutable as $$
  select case
    when amount is null or amount = 'NaN' then 0 when amount > 1e9 then 1e15 when amount < -1e9 then -1e15
    else trunc(amount * 1e6 + case when amount < 0 then -0.5 else 0.5 end)
  end
$$;
create view shares as select id, created, floor(created / 86400)::integer as day, backend, provider, model, media, unit,
  1 as jobs, millionths(charged) as charged, case when guessed = 1 then millionths(charged) else 0 end as estimated,
  case when held = 1 and charged is null and finished is null then millionths(reserved) else 0 end as reserved,
  (held = 1 and charged is null and reserved is null)::integer as unpriced,
  floor(coalesce(intended, created) / 86400)::integer as sent, held,
  case when held = 1 then millionths(coalesce(charged, reserved)) else 0 end as counted from jobs;
create table shifts (
  day integer not null, backend text collate "C" not null, provider text collate "C" not null, model text collate "C" not null,
  media text collate "C" not null, unit text collate "C" not null,
  jobs integer not null, charged double precision not null, estimated double precision not null, reserved double precision not null,
  unpriced integer not null, sent integer not null, held integer not null, counted double precision not null
);
create view spent as select day, backend, provider, model, media, unit, sum(jobs)::integer as jobs, sum(charged) as charged,
  sum(estimated) as estimated, sum(reserved) as reserved, sum(unpriced)::integer as unpriced from (
    select * from spent_sums union all
    select day, backend, provider, model, media, unit, jobs, charged, estimated, reserved, unpriced from shifts
  ) as parts group by day, backend, provider, model, media, unit;
create view used as select * from used_sums union all select backend, sent, held, counted from shifts;
create function add_up() returns void language plpgsql as $$
begin
  if current_setting('genbridge.shifted', true) is distinct from 'yes' then
    return;
  end if;
  insert into spent_sums as s
    select day, backend, provider, model, media, unit, sum(jobs), sum(charged), sum(estimated), sum(reserved), sum(unpriced)
    from shifts group by 1, 2, 3, 4, 5, 6
    on conflict (day, backend, provider, model, media, unit) do update set jobs = s.jobs + excluded.jobs,
      charged = s.charged + excluded.charged, estimated = s.estimated + excluded.estimated,
      reserved = s.reserved + excluded.reserved, unpriced = s.unpriced + excluded.unpriced;
  insert into used_sums as u select backend, sent, sum(held), sum(counted) from shifts group by 1, 2
    on conflict (backend, sent) do update set held = u.held + excluded.held, counted = u.counted + excluded.counted;
  delete from shifts;
end $$;

-- What a trigger's condition says is read anew by each statement, and takes longer than all that this function does.
create function count_jobs() returns trigger language plpgsql as $$
declare
  said text;
begin
  if tg_op = 'UPDATE' and (old.charged, old.held, old.guessed, old.finished, old.reserved, old.created, old.unit,
      old.backend, old.provider, old.model, old.media, floor(coalesce(old.intended, old.created) / 86400))
    is not distinct from (new.charged, new.held, new.guessed, new.finished, new.reserved, new.created, new.unit,
      new.backend, new.provider, new.model, new.media, floor(coalesce(new.intended, new.created) / 86400)) then
    return null;
  end if;
  insert into shifts select
    floor(created / 86400)::integer, backend, provider, model, media, unit, sign,
    sign * millionths(charged), case when guessed = 1 then sign * millionths(charged) else 0 end,
    case when held = 1 and charged is null and finished is null then sign * millionths(reserved) else 0 end,
    case when held = 1 and charged is null and reserved is null then sign else 0 end,
    floor(coalesce(intended, created) / 86400)::integer, sign * held,
    case when held = 1 then sign * millionths(coalesce(charged, reserved)) else 0 end
    from (select old.*, -1 as sign where tg_op <> 'INSERT' union all select new.*, 1 where tg_op <> 'DELETE') as job;
  said := set_config('genbridge.shifted', 'yes', true);
  return null;
end $$;
create trigger jobs_counted after insert or delete or update of
  charged, held, guessed, finished, reserved, created, unit, backend, provider, model, media, intended
  on jobs for each row execute function count_jobs();

-- The engine writes down what becomes of each ticket, which nobody reads: the journal says what becomes of the job.
do $$
declare
  name text;
begin
  for name in select tgname from pg_trigger where tgrelid = 'procrastinate_jobs'::regclass and tgname ~ '_status_events_' loop
    execute format('alter table procrastinate_jobs disable trigger %I', name);
  end loop;
end $$;

create index procrastinate_jobs_job on procrastinate_jobs ((args ->> 'job_id'));

-- Who listens hears of it at the commit.
create function tell() returns trigger language plpgsql as $$
begin
  perform pg_notify(tg_argv[0], new.id);
  return null;
end $$;
create trigger jobs_changed after update of status, provider_id, progress, failure, cancel_answer on jobs
  for each row execute function tell('genbridge_changes');
create trigger jobs_cancel_asked after update of cancel_asked on jobs for each row when (new.cancel_asked is not null)
  execute function tell('genbridge_cancels');
"""

_STEPS = (_FIRST,)

VERSION = len(_STEPS)
"""The version of our tables: how many steps were taken."""


@attrs.frozen(kw_only=True)
class Standing:
    """Which tables a database has, and which this release wants: ours by a number, the engine's by the name of its last step.

    `lacking` are the steps that an upgrade takes.
    """

    version: int
    wanted: int
    engine: str | None
    engine_wanted: str
    lacking: tuple[str, ...]

    @property
    def fits(self) -> bool:
        """Whether this release can use them."""
        return self.version == self.wanted and not self.lacking


def upgrade(url: DatabaseUrl) -> list[str]:
    """Take the steps that a database lacks; return their names. Raises `JournalError` when that cannot be done."""
    return _on(url, partial(_upgraded, url), "brought up to date")


def standing(url: DatabaseUrl) -> Standing:
    """Return which tables a database has. Raises `JournalError` when it cannot be looked at."""
    return _on(url, _standing, "looked at")


def _on(url: DatabaseUrl, work: Callable[[psycopg.Connection[Any]], T], what: str) -> T:
    """Do some work in one transaction; `what` (a participle) is what cannot be done to the database when it fails."""
    said = ""
    try:
        with psycopg.connect(**options(url)) as connection:
            return work(connection)
    except psycopg.Error as error:
        said = " ".join(url.struck_from(str(error)).split())
    raise JournalError(url.trouble(said) or f"the database {str(url)!r} cannot be {what} ({said}); look at it and at its URL")


def version(connection: psycopg.Connection[Any]) -> int:
    """Return the version of our tables on a connection; 0 where there are none."""
    if connection.execute(f"select to_regclass('{SCHEMA}.steps')").fetchone()[0] is None:  # type: ignore[index]
        return 0
    row = connection.execute(f"select count(*) from {SCHEMA}.steps where part = %s", (_OURS,)).fetchone()  # noqa: S608 (our own name)
    return int(row[0]) if row else 0


def newer(url: DatabaseUrl, number: int) -> JournalError:
    """Return the error that says that a database is of a newer release."""
    numbers = f"its version is {number}, this one reads {VERSION}"
    return JournalError(f"the journal {str(url)!r} was made by a newer genbridge ({numbers}); upgrade genbridge")


def _upgraded(url: DatabaseUrl, connection: psycopg.Connection[Any]) -> list[str]:
    connection.execute(_BEGINNING)
    if (number := version(connection)) > VERSION:
        raise newer(url, number)
    taken = set(connection.execute(f"select part, name from {SCHEMA}.steps").fetchall())  # noqa: S608 (our own name)
    new: list[str] = []
    for part, name, text in (*_engine_steps(taken), *_our_steps()):
        if (part, name) in taken:
            continue
        if text:
            connection.execute(text.encode())
            new.append(f"{part} {name}")
        connection.execute(f"insert into {SCHEMA}.steps (part, name) values (%s, %s)", (part, name))  # noqa: S608 (our own name)
    return new


def _standing(connection: psycopg.Connection[Any]) -> Standing:
    number = version(connection)
    there = connection.execute(f"select to_regclass('{SCHEMA}.steps')").fetchone()
    rows = connection.execute(f"select part, name from {SCHEMA}.steps").fetchall() if there and there[0] else []  # noqa: S608
    taken = set(rows)
    steps = [*_engine_steps(taken), *_our_steps()]
    engine = [name for part, name, _ in steps if part == _ENGINE]
    return Standing(
        version=number,
        wanted=VERSION,
        engine=max((name for part, name in taken if part == _ENGINE and name != "schema"), default=None),
        engine_wanted=max(name for name in engine if name != "schema"),
        lacking=tuple(f"{part} {name}" for part, name, text in steps if text and (part, name) not in taken),
    )


def _our_steps() -> Sequence[tuple[str, str, str]]:
    return [(_OURS, str(number), text) for number, text in enumerate(_STEPS, start=1)]


def _engine_steps(taken: set[tuple[str, str]]) -> Sequence[tuple[str, str, str]]:
    """Return the engine's steps: its whole schema for a new database, where those that led to it are taken with it."""
    migrations = sorted(Path(SchemaManager.get_migrations_path()).glob("*.sql"))
    if any(part == _ENGINE for part, _ in taken):
        return [(_ENGINE, path.stem, path.read_text(encoding="utf-8")) for path in migrations]
    return [(_ENGINE, "schema", SchemaManager.get_schema()), *((_ENGINE, path.stem, "") for path in migrations)]
