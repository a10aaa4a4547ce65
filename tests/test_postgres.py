"""The journal in PostgreSQL: what machines share it for, and what is not every journal's."""

from __future__ import annotations

import asyncio
import os
import random
import threading
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import uuid4

import attrs
import psycopg
import pytest
from jobs import NOON, WallClock, a_job, begun, ended
from postgres import Server
from walk import Walk
from yarl import URL

from genbridge import BudgetError, Certainty, Cost, Failure, JobStatus, JournalError
from genbridge.budgets import Budget
from genbridge.databases import DatabaseUrl
from genbridge.engine import Ticket
from genbridge.journal import Attention, Heard, Report, open_journal
from genbridge.journal.postgres import PostgresJournal, connection
from genbridge.journal.postgres.connection import Connection, Lost, options
from genbridge.journal.postgres.schema import VERSION, upgrade, version
from genbridge.journal.postgres.store import DatabaseStore


class Tickets:
    """An engine that keeps its tickets in a table, and of which every worker lives."""

    def give(self, connection: Any, tickets: Sequence[Ticket]) -> None:
        for ticket in tickets:
            connection.execute("insert into tickets values (%s)", (ticket.job_id,))

    def give_again(self, connection: Any) -> None:
        connection.execute("update tickets set held = false")

    def ticketed(self, connection: Any, job_ids: Sequence[str]) -> set[str]:
        return {row[0] for row in connection.execute("select job_id from tickets where job_id = any(%s)", (list(job_ids),))}

    async def run(self, *_: Any, **__: Any) -> None:
        raise AssertionError("nobody works here")


class Faithless(Connection):
    """A connection that is lost once, before or after its commit has reached the database."""

    lose: str = ""

    def execute(self, statement: str, values: Any = None, /) -> Any:
        if statement == "commit" and self.lose:
            lose, self.lose = self.lose, ""
            if lose != "before":
                super().execute(statement)
            if lose == "told":
                self.settle()
                raise psycopg.errors.AdminShutdown("terminating connection due to administrator command")
            self.raw.close()
            raise Lost("the connection was cut")
        return super().execute(statement, values)


class Hindered(Faithless):
    """One on which the lock is not had in time, once."""

    refused: bool = False

    def execute(self, statement: str, values: Any = None, /) -> Any:
        if statement.startswith("select took_place") and not self.refused:
            self.refused = True
            raise psycopg.errors.QueryCanceled("canceling statement due to statement timeout")
        return super().execute(statement, values)


class FaithlessStore(DatabaseStore):
    """A store whose connections may be lost at a commit."""

    kind: type[Connection] = Faithless

    def connect(self) -> Connection:
        db = super().connect()
        db.__class__ = self.kind
        self.connection: Any = db
        return db


class FaithlessJournal(PostgresJournal):
    """A journal on such a store."""

    store_class = FaithlessStore


@pytest.fixture
def url(database: str) -> DatabaseUrl:
    """Return where a database is that has the tables."""
    return DatabaseUrl.parse(database)


@pytest.fixture
async def journal(url: DatabaseUrl, database: str) -> AsyncIterator[PostgresJournal]:
    """Return an open journal that gives tickets."""
    with psycopg.connect(database) as connection:
        connection.execute("create table genbridge.tickets (job_id text, held boolean not null default true)")
    journal = PostgresJournal(url, engine=Tickets())
    await journal.open()
    yield journal
    await journal.aclose()


def as_another(database: str) -> str:
    """Make a user of a database beside the tables' owner, and return the URL to connect as that."""
    user = f"user_{uuid4().hex}"
    with psycopg.connect(database) as connection:
        for statement in (
            f"create role {user} login password 'another'",
            f"grant usage on schema genbridge to {user}",
            f"grant all on all tables in schema genbridge to {user}",
        ):
            connection.execute(statement.encode())
    return str(URL(database).with_user(user).with_password("another"))


def asked(database: str, statement: str) -> list[Any]:
    """Return what a statement returns."""
    with psycopg.connect(database, options="-c search_path=genbridge") as connection:
        return connection.execute(statement.encode()).fetchall()


def ticketed(database: str) -> list[str]:
    """Return the jobs that there are tickets for."""
    return [row[0] for row in asked(database, "select job_id from tickets order by job_id")]


# Tables.


def test_the_tables_are_made_once_however_many_make_them(postgres: Server) -> None:
    """Whoever comes second finds nothing to do."""
    database = postgres.make_database()
    with ThreadPoolExecutor() as pool:
        taken = list(pool.map(lambda _: upgrade(DatabaseUrl.parse(database)), range(4)))
    assert [[], [], [], ["procrastinate schema", "genbridge 1"]] == sorted(taken)
    assert [] == upgrade(DatabaseUrl.parse(database))


async def test_a_database_without_tables_says_how_to_make_them(postgres: Server) -> None:
    """Before anything is sent."""
    with pytest.raises(JournalError, match="has no tables yet; run: genbridge db upgrade --db "):
        await open_journal(DatabaseUrl.parse(postgres.make_database())).open()


async def test_a_database_of_a_newer_release_is_left_alone(url: DatabaseUrl, database: str) -> None:
    """It may have been changed in ways that nobody here knows."""
    with psycopg.connect(database) as connection:
        connection.execute("insert into genbridge.steps (part, name) values ('genbridge', 'later')")
        assert VERSION + 1 == version(connection)
    with pytest.raises(JournalError, match="newer genbridge"):
        await open_journal(url).open()


@pytest.mark.parametrize("wrong", ["host", "port", "database", "password"])
async def test_a_database_that_cannot_be_reached_is_named_without_its_password(
    postgres: Server, database: str, wrong: str, unused_tcp_port: int
) -> None:
    """At once, in one sentence, whatever is wrong with its URL."""
    changes = {"host": ("127.0.0.1", "nowhere.invalid"), "port": (str(postgres.port), str(unused_tcp_port))}
    changes |= {"database": ("/test_", "/no_"), "password": (postgres.password, "a-wrong-password")}
    text = database.replace(*changes[wrong])
    words = {
        "host": "cannot be reached",
        "port": "cannot be reached",
        "database": "no database",
        "password": "refuses user 'postgres'",
    }
    with pytest.raises(JournalError, match=words[wrong]) as caught:
        await open_journal(DatabaseUrl.parse(text)).open()
    assert not {"a-wrong-password", postgres.password} & set(str(caught.value).replace(":", " ").replace("@", " ").split())
    assert "\n" not in str(caught.value)


# Every write is done once.


@pytest.mark.parametrize("lose", ["before", "after", "told"])
async def test_a_write_whose_commit_was_lost_is_done_once(url: DatabaseUrl, lose: str) -> None:
    """Whether it had reached the database or not, which nobody is told."""
    journal = FaithlessJournal(url)
    await journal.open()
    journal._tables.connection.lose = lose
    lease = await journal.add(a_job(), Budget(jobs=1), [])
    assert lease is not None
    assert lease.attempt is not None
    assert 1 == (await journal.usage("studio")).ever.jobs
    await journal.aclose()


async def test_a_connection_that_the_database_ends_at_a_commit_loses_nothing(url: DatabaseUrl, database: str) -> None:
    """Whatever of it was done, all of it is done once."""
    journal = PostgresJournal(url)
    await journal.open()
    commit = journal._tables.execute
    ended: list[int] = []

    def execute(db: Connection, statement: str) -> None:
        if not ended:
            ended.append(db.raw.info.backend_pid)
            asked(database, f"select pg_terminate_backend({ended[0]})")
        commit(db, statement)

    journal._tables.execute = execute  # type: ignore[method-assign]
    assert await journal.hand_in(a_job(), Budget(jobs=1))
    assert ended
    assert 1 == (await journal.usage("studio")).ever.jobs
    await journal.aclose()


def test_a_transaction_that_was_given_up_cannot_come_late(url: DatabaseUrl) -> None:
    """As when its statements are still on their way as its process has another connection already."""
    with psycopg.connect(**options(url, autocommit=True)) as late, psycopg.connect(**options(url, autocommit=True)) as other:
        assert other.execute("select took_place('me', 1, 2, null)").fetchone() == (False,)
        assert other.execute("select took_place('me', 1, 3, null)").fetchone() == (False,)
        with pytest.raises(psycopg.Error, match="given up"):
            late.execute("select enter('me', 1, null)")
        late.execute("select enter('me', 4, null)")
        assert other.execute("select took_place('me', 4, 5, null)").fetchone() == (True,)


@pytest.mark.parametrize("user", ["the tables' owner", "another"])
async def test_a_process_that_stands_still_holds_nobody_up_for_long(url: DatabaseUrl, database: str, user: str) -> None:
    """Whoever it connects as. What it had begun is done as it goes on."""
    stopped = PostgresJournal(DatabaseUrl.parse(as_another(database)) if user == "another" else url)
    other = PostgresJournal(url)
    await stopped.open()
    await other.open()
    has_the_turn, goes_on = threading.Event(), threading.Event()

    def stand_still(db: Any) -> int:
        rows = db.execute("select ?", (7,))
        if not has_the_turn.is_set():
            has_the_turn.set()
            goes_on.wait(60)
        return int(rows.fetchone()[0])

    standing = asyncio.create_task(stopped._store.do(stand_still))
    await asyncio.to_thread(has_the_turn.wait, 60)
    assert await asyncio.wait_for(other.add(a_job(), Budget()), 20)
    goes_on.set()
    assert 7 == await standing
    await stopped.aclose()
    await other.aclose()


async def test_what_the_database_cannot_do_fails_alone_among_what_was_asked_with_it(
    journal: PostgresJournal, database: str
) -> None:
    """Though it says so only when all of that has been asked."""
    impossible = journal._store.do_ahead(lambda db: db.execute("select 1 / 0"), lambda _, rows: rows.fetchone())
    asked = [journal.hand_in(a_job(1), Budget()), impossible, journal.hand_in(a_job(2), Budget())]
    before, failure, after = await asyncio.gather(*asked, return_exceptions=True)
    assert (True, True) == (before, after)
    assert isinstance(failure, JournalError)
    assert "division by zero" in str(failure)
    assert ["job-1", "job-2"] == ticketed(database)


@pytest.mark.parametrize("before", ["select 1", "select 1 / 0"])
async def test_what_fails_again_by_itself_ends_nothing_else(journal: PostgresJournal, before: str) -> None:
    """Whatever was asked before it and after it, and as often as it is tried."""
    for _ in range(5):
        with pytest.raises(JournalError, match="cannot be written"):
            await journal._store.do(lambda db: [db.execute(each) for each in (before, "select 1 / 0", "select 1")])
    assert await journal.hand_in(a_job(), Budget())


async def test_a_job_that_is_looked_for_as_it_is_handed_in_gets_one_ticket(journal: PostgresJournal, database: str) -> None:
    """Though both are in one transaction, and neither sees the other's."""
    await asyncio.gather(journal.hand_in(a_job(), Budget()), journal.sweep())
    assert ["job-1"] == ticketed(database)


async def test_what_is_too_long_for_an_index_fails_alone(journal: PostgresJournal) -> None:
    """Others' ids, which are paid for, are recorded."""
    ids = ["p1", random.Random(7).randbytes(8000).hex(), "p3"]
    attempts = [(await begun(journal, a_job(number)))[1] for number in range(3)]
    jobs = [a_job(number, status=JobStatus.RUNNING, provider_id=each) for number, each in enumerate(ids)]
    told = await asyncio.gather(*map(journal.submitted, attempts, jobs), return_exceptions=True)
    assert [True, True] == [told[0], told[2]]
    assert isinstance(told[1], JournalError)


async def test_what_fails_as_an_answer_is_read_fails_alone(journal: PostgresJournal) -> None:
    """Also where that was asked for last, and the database says so at the commit."""
    impossible = journal._store.do_ahead(lambda db: db.execute("select 1"), lambda db, _: db.execute("select 1 / 0"))
    before, failure = await asyncio.gather(journal.hand_in(a_job(), Budget()), impossible, return_exceptions=True)
    assert before is True
    assert isinstance(failure, JournalError)


async def test_statements_are_found_again_after_one_that_was_asked_before_them_has_failed(journal: PostgresJournal) -> None:
    """As the driver gives them names, of which the database hears nothing then."""

    def ask(db: Any) -> Any:
        return db.execute("select 41 + ?", (1,))

    for _ in range(6):
        impossible = journal._store.do(lambda db: db.execute("select 1 / 0"))
        possible = journal._store.do_ahead(ask, lambda _, rows: rows.fetchone()[0])
        failure, answer = await asyncio.gather(impossible, possible, return_exceptions=True)
        assert isinstance(failure, JournalError)
        assert answer == 42


async def test_a_look_that_fails_fails_alone(journal: PostgresJournal) -> None:
    """Those that come after it see what they look for."""
    await journal.hand_in(a_job(), Budget())
    impossible = journal._store.look(lambda db: [db.execute(each) for each in ("select 1 / 0", "select 1")])
    failure, job = await asyncio.gather(impossible, journal.holder("studio", "p1"), return_exceptions=True)
    assert isinstance(failure, JournalError)
    assert job is None


async def test_a_write_whose_answer_cannot_be_read_is_undone(journal: PostgresJournal, database: str) -> None:
    """As whoever asked for it takes it for undone."""
    await journal.hand_in(a_job(), Budget())
    asked(database, "update jobs set request = 'damaged' returning 1")
    with pytest.raises(JournalError, match="cannot be read"):
        await journal.take("job-1")
    assert [(None, 1)] == asked(database, "select owner, epoch from jobs")


async def test_a_driver_that_waits_for_each_answer_does_too(url: DatabaseUrl, monkeypatch: pytest.MonkeyPatch) -> None:
    """As with an old client library of PostgreSQL's."""
    monkeypatch.setattr(connection, "_CAN_GO_AHEAD", False)
    journal = PostgresJournal(url)
    await journal.open()
    lease, attempt = await begun(journal, a_job())
    assert await journal.submitted(attempt, a_job(status=JobStatus.RUNNING, provider_id="p1"))
    assert await journal.update(lease, ended(a_job()))
    await journal.aclose()


async def test_a_connection_that_is_lost_in_the_engines_hands_is_no_failure(url: DatabaseUrl, database: str) -> None:
    """As it is none in the journal's own."""

    class Cut(Tickets):
        cut = False

        def give(self, connection: Any, tickets: Sequence[Ticket]) -> None:
            if not self.cut:
                self.cut = True
                pid = connection.info.backend_pid
                asked(database, f"select pg_terminate_backend({pid})")
            super().give(connection, tickets)

    with psycopg.connect(database) as connection:
        connection.execute("create table genbridge.tickets (job_id text, held boolean not null default true)")
    journal = PostgresJournal(url, engine=Cut())
    await journal.open()
    assert await journal.hand_in(a_job(), Budget())
    assert ["job-1"] == ticketed(database)
    await journal.aclose()


async def test_a_write_in_doubt_is_asked_for_until_the_database_answers(url: DatabaseUrl, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where it answers that it takes too long: whoever waits must hear of it."""
    monkeypatch.setattr(FaithlessStore, "kind", Hindered)
    journal = FaithlessJournal(url)
    await journal.open()
    journal._tables.connection.lose = "after"
    assert await asyncio.wait_for(journal.add(a_job(), Budget(jobs=1)), 10)
    assert journal._tables.connection.refused
    assert 1 == (await journal.usage("studio")).ever.jobs
    await journal.aclose()


async def test_no_write_fails_as_it_waits_for_those_of_others(url: DatabaseUrl, database: str) -> None:
    """Though the database has limits of its own, which are made for other programs."""
    name, limits = database.rpartition("/")[2], ("statement_timeout", "lock_timeout")
    with psycopg.connect(database, autocommit=True) as connection:
        for limit in limits:
            connection.execute(f"alter database {name} set {limit} = '1s'".encode())
    journal = PostgresJournal(url)
    await journal.open()
    assert ["0", "0"] == await journal._store.look(lambda db: [db.execute(f"show {limit}").fetchone()[0] for limit in limits])
    await journal.aclose()


async def test_what_is_asked_while_the_database_is_away_is_done_when_it_is_back(caplog: pytest.LogCaptureFixture) -> None:
    """Nobody who waits hears of it but in the log, once."""
    with Server() as server:
        url = DatabaseUrl.parse(server.make_database())
        upgrade(url)
        journal = open_journal(url)
        await journal.open()
        lease, attempt = await begun(journal, a_job())
        server.kill()
        writing = asyncio.create_task(journal.submitted(attempt, a_job(status=JobStatus.RUNNING, provider_id="p1")))
        await asyncio.to_thread(server.start)
        assert await writing
        assert await journal.update(lease, ended(a_job()))
        await journal.aclose()
    assert 1 == sum("cannot be reached" in record.getMessage() for record in caplog.records)
    assert server.password not in caplog.text


async def test_a_session_that_has_become_read_only_is_left_for_another(url: DatabaseUrl) -> None:
    """As after a failover that leaves the sessions of the old server open."""
    journal = FaithlessJournal(url)
    await journal.open()
    journal._tables.connection.raw.execute("set default_transaction_read_only = on")
    assert await journal.add(a_job(), Budget())
    assert a_job() == await journal.get("job-1")
    await journal.aclose()


async def test_a_database_that_stays_away_is_given_up(url: DatabaseUrl) -> None:
    """As one that cannot be written."""
    with Server() as server:
        place = DatabaseUrl.parse(server.make_database())
        upgrade(place)
        journal = PostgresJournal(place, patience=0.0)
        await journal.open()
        server.kill()
        with pytest.raises(JournalError, match="cannot be reached"):
            await journal.add(a_job(), Budget())
        await journal.aclose()


async def test_what_cannot_be_written_fails_nobody_else(journal: PostgresJournal) -> None:
    """Though both are in one transaction."""
    jobs = [a_job(1), a_job(2, backend="nul \0"), a_job(3)]
    outcomes = await asyncio.gather(*(journal.add(job, Budget()) for job in jobs), return_exceptions=True)
    assert isinstance(outcomes[1], JournalError)
    assert [a_job(3), a_job(1)] == await journal.page(limit=9)


async def test_the_totals_are_the_sums_over_the_jobs(url: DatabaseUrl, database: str) -> None:
    """Whatever became of them."""
    journal = PostgresJournal(url, now=NOON.timestamp)
    await journal.open()
    chance = random.Random(7)
    walk = Walk(journal)
    for number in range(5):
        quote = attrs.evolve(a_job().quote, amount=chance.choice([None, 0.1, 7.0]))
        await walk.add(a_job(number, backend=chance.choice(["studio", "spare"]), quote=quote))
    steps = ["begin", "unknown", "accepted", "progress", "done", "refunded", "not_sent", "adopted", "forget"]
    for _ in range(150):
        cost = Cost(amount=chance.choice([None, 0.0, 0.1, 1 / 3, 1234.5]), certainty=chance.choice(list(Certainty)))
        await walk.step(chance.choice(list(walk.jobs)), chance.choice(steps), cost)
    await journal.aclose()
    names = "day, backend, provider, model, media, unit"
    sums = f"select {names}, sum(jobs), sum(charged), sum(estimated), sum(reserved), sum(unpriced) from shares group by {names}"
    assert sorted(asked(database, sums)) == sorted(asked(database, "select * from spent where jobs > 0"))
    used = "select backend, sent, sum(held), sum(counted) from shares where held = 1 group by backend, sent"
    assert sorted(asked(database, used)) == sorted(asked(database, "select * from used where held > 0"))


# Tickets.


async def test_a_job_that_is_handed_in_has_a_ticket_and_no_driver(journal: PostgresJournal, database: str) -> None:
    """Both are there, or neither is."""
    assert await journal.hand_in(a_job(1), Budget(jobs=1))
    assert not await journal.hand_in(a_job(1), Budget(jobs=1))
    with pytest.raises(BudgetError):
        await journal.hand_in(a_job(2), Budget(jobs=1))
    assert ["job-1"] == ticketed(database)
    assert await journal.acquire("job-1") is not None


async def test_a_job_that_is_handed_over_has_a_ticket_and_its_old_lease_is_worth_nothing(
    journal: PostgresJournal, database: str
) -> None:
    """Only what was held is let go."""
    lease = await journal.add(a_job(), Budget())
    assert lease is not None
    await journal.hand_over([attrs.evolve(lease, epoch=7)])
    assert [] == ticketed(database)
    await journal.hand_over([lease])
    assert ["job-1"] == ticketed(database)
    taken = await journal.acquire("job-1")
    assert taken is not None
    assert not await journal.update(lease, ended(a_job()))
    assert await journal.update(taken, ended(a_job()))


async def test_a_doubted_job_that_was_not_sent_after_all_gets_a_ticket(journal: PostgresJournal, database: str) -> None:
    """Where whoever doubted it has let it go."""
    lease, attempt = await begun(journal, a_job())
    await journal.unknown(lease, a_job())
    await journal.release(lease)
    await journal.refused(attempt)
    await journal.refused(attempt)
    assert ["job-1"] == ticketed(database)


async def test_closing_gives_tickets_for_what_is_left(journal: PostgresJournal, database: str) -> None:
    """But not for what waits for a person."""
    await journal.add(a_job(1), Budget())
    lease, _ = await begun(journal, a_job(2))
    await journal.unknown(lease, a_job(2, failure=Failure(message="lost")))
    await journal.aclose()
    assert ["job-1"] == ticketed(database)


async def test_the_sweep_gives_a_ticket_to_whatever_lacks_both_ticket_and_driver(
    journal: PostgresJournal, url: DatabaseUrl, database: str
) -> None:
    """Also to one that was in doubt as its driver died; those in doubt whom nobody looks into any more are left to a person."""
    dead = PostgresJournal(url)
    await dead.open()
    for number in range(4):
        await dead.add(a_job(number), Budget())
    lease, _ = await begun(dead, a_job(4))
    await dead.unknown(lease, a_job(4))
    settled, _ = await begun(dead, a_job(5))
    await dead.unknown(settled, a_job(5))
    await dead.release(settled)
    assert 0 == await journal.sweep()
    with psycopg.connect(database, options="-c search_path=genbridge") as connection:
        connection.execute("delete from drivers where owner = %s", (dead.owner,))
        connection.execute("insert into tickets values ('job-0')")
    assert await journal.acquire("job-1") is not None
    assert 3 == await journal.sweep()
    assert ["job-0", "job-2", "job-3", "job-4"] == ticketed(database)
    assert 0 == await journal.sweep()
    await dead.aclose()


async def test_one_worker_of_all_sweeps_at_a_time(url: DatabaseUrl, database: str, journal: PostgresJournal) -> None:
    """And again once the time between two sweeps has passed; also after the database's clock was set back."""
    clock = WallClock()
    other = PostgresJournal(url, engine=Tickets(), now=clock)
    await other.open()
    for number, (moved, found) in enumerate([(0, 1), (4, 0), (1, 1), (-3600, 1)]):
        clock.seconds += moved
        lease = await other.add(a_job(number), Budget())
        with psycopg.connect(database, options="-c search_path=genbridge") as connection:
            connection.execute("update jobs set owner = 'nobody' where id = %s", (f"job-{number}",))
            connection.execute("delete from drivers")
        assert lease is not None
        assert (found > 0) == (await other.sweep(5.0) > 0)
    await other.aclose()


async def test_whoever_asks_for_jobs_to_be_driven_gets_one_ticket_for_each(journal: PostgresJournal, database: str) -> None:
    """A job in doubt is among them, and one that somebody drives is not."""
    lease, _ = await begun(journal, a_job(1))
    await journal.unknown(lease, a_job(1))
    await journal.release(lease)
    await journal.add(a_job(2), Budget())
    await journal.call_for(["job-1", "job-2", "nothing"])
    await journal.call_for(["job-1"])
    assert ["job-1"] == ticketed(database)


async def test_it_is_known_who_sees_to_a_job(journal: PostgresJournal, url: DatabaseUrl, database: str) -> None:
    """A living driver, or whoever takes its ticket, also where a dead driver had it, or nobody; and nobody where it has ended."""
    other = PostgresJournal(url, engine=Tickets())
    await other.open()
    await journal.hand_in(a_job(), Budget())
    assert Attention.TICKETED is await other.attention("job-1")
    lease = await journal.acquire("job-1")
    assert lease is not None
    assert Attention.DRIVEN is await other.attention("job-1")
    asked(database, "delete from tickets returning job_id")
    asked(database, "update drivers set beat = beat - 31 returning beat")
    assert Attention.TICKETED is await other.attention("job-1")
    await journal.release(lease)
    assert Attention.NONE is await other.attention("job-1")
    await journal.update(lease, ended(a_job()))
    assert Attention.NONE is await other.attention("job-1")
    await other.aclose()


async def test_files_of_a_living_workers_job_may_be_saved_by_anybody(journal: PostgresJournal, url: DatabaseUrl) -> None:
    """A worker saves none, and whoever handed the job in may be gone; a client that drives its own jobs saves their files."""
    other = PostgresJournal(url)
    await other.open()
    lease = await journal.add(a_job(save_to=Path("/out")), Budget())
    assert lease is not None
    await journal.update(lease, ended(a_job(save_to=Path("/out"))))
    assert [] == await other.unsaved()
    await journal.report(Report(host="here", pid=1, version="0", concurrency=1))
    assert ["job-1"] == [job.id for job in await other.unsaved()]
    await other.aclose()


# What others hear of.


async def test_a_change_is_heard_of_by_whoever_listens(journal: PostgresJournal, url: DatabaseUrl) -> None:
    """On the commit, with the id of the job; the empty one that comes first says that it is listened from now on."""
    other = PostgresJournal(url)
    await other.open()
    heard: asyncio.Queue[str] = asyncio.Queue()
    other.listen(heard.put_nowait, Heard.CHANGES)
    assert "" == await heard.get()
    lease, attempt = await begun(journal, a_job())
    assert "job-1" == await heard.get()
    await journal.submitted(attempt, a_job(status=JobStatus.RUNNING, provider_id="p1"))
    assert "job-1" == await heard.get()
    await journal.update(lease, a_job(status=JobStatus.RUNNING, provider_id="p1", progress=0.5))
    assert "job-1" == await heard.get()
    await other.aclose()


async def test_a_cancel_reaches_whoever_has_the_job_and_the_answer_whoever_asked(journal: PostgresJournal) -> None:
    """Asked once more it is open again; a job that has ended is not asked about."""
    cancels: asyncio.Queue[str] = asyncio.Queue()
    changes: asyncio.Queue[str] = asyncio.Queue()
    journal.listen(cancels.put_nowait, Heard.CANCELS)
    journal.listen(changes.put_nowait, Heard.CHANGES)
    assert ["", ""] == [await cancels.get(), await changes.get()]
    lease = await journal.add(a_job(), Budget())
    assert lease is not None
    assert not await journal.cancel_asked("job-1")
    assert await journal.ask_cancel("job-1")
    assert "job-1" == await cancels.get()
    assert await journal.cancel_asked("job-1")
    assert await journal.cancel_answer("job-1") is None
    await journal.answer_cancel("job-1", "it has no way to")
    assert "job-1" == await changes.get()
    assert "it has no way to" == await journal.cancel_answer("job-1")
    assert not await journal.cancel_asked("job-1")
    assert await journal.ask_cancel("job-1")
    assert await journal.cancel_asked("job-1")
    await journal.update(lease, ended(a_job()))
    assert not await journal.ask_cancel("job-1")
    assert await journal.cancel_answer("nothing") is None


async def test_who_listens_hears_that_something_may_have_been_missed(journal: PostgresJournal, database: str) -> None:
    """When the connection was lost, and is there again."""
    heard: asyncio.Queue[str] = asyncio.Queue()
    journal.listen(heard.put_nowait, Heard.CHANGES)
    assert "" == await heard.get()
    asked(database, "select pg_terminate_backend(pid) from pg_stat_activity where query like 'listen%'")
    assert "" == await heard.get()


# How things stand.


async def test_workers_report_how_they_are_doing(url: DatabaseUrl) -> None:
    """The last report of each, with how long ago that was by the database's clock; nothing of yesterday's."""
    clock = WallClock()
    journal = PostgresJournal(url, now=clock)
    await journal.open()
    report = Report(host="a", pid=7, version="1", backends=("studio",), concurrency=9)
    await journal.report(report)
    await journal.report(attrs.evolve(report, driving=3))
    clock.seconds += 40
    (seen,) = await journal.reports()
    assert (attrs.evolve(report, owner=journal.owner, driving=3, silent=40.0), False) == (seen, seen.alive)
    clock.seconds += 86400
    assert [] == await journal.reports()
    await journal.aclose()


async def test_a_worker_that_is_gone_is_no_more_alive_than_its_jobs_are_driven(journal: PostgresJournal, url: DatabaseUrl) -> None:
    """As soon as it is known of its process on this machine, and also once it was buried, though it was heard of just now."""
    gone = PostgresJournal(url)
    await gone.open()
    gone._drivers.name = gone.owner.replace(f":{os.getpid()}:", ":999999999:")
    await gone.report(Report(host="a", pid=999999999, version="1", concurrency=9))
    await gone.add(a_job(status=JobStatus.RUNNING), Budget())
    seen = [([report.alive for report in await journal.reports()], (await journal.counts()).undriven)]
    await journal.sweep()
    seen.append(([report.alive for report in await journal.reports()], (await journal.counts()).undriven))
    assert [([False], 1)] * 2 == seen
    await gone.aclose()


async def test_what_had_better_be_looked_at_is_counted(url: DatabaseUrl) -> None:
    """Unfinished jobs by their state, how long the oldest has waited, and those that nobody drives."""
    clock = WallClock()
    journal = PostgresJournal(url, engine=None, now=clock)
    await journal.open()
    for number in range(3):
        lease = await journal.add(a_job(number), Budget())
        assert lease is not None
    await journal.release(lease)
    await journal.add(a_job(4), Budget())
    await journal._store.do(lambda db: db.execute("update jobs set status = 'weird' where id = 'job-4'"))
    doubtful, _ = await begun(journal, a_job(3))
    await journal.unknown(doubtful, a_job(3))
    clock.seconds += 20
    counts = await journal.counts()
    assert {JobStatus.PENDING: 3, JobStatus.UNKNOWN: 1} == counts.jobs
    assert (20.0, 0) == (counts.oldest_waiting, counts.undriven)
    clock.seconds += 20
    assert 4 == (await journal.counts()).undriven
    await journal.aclose()
