"""Tickets come with the transaction that gives them, reach one living worker, and outlive it and the database's outages."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import psycopg
import pytest
from postgres import Server

from genbridge.databases import DatabaseUrl
from genbridge.engine import Tally, Ticket
from genbridge.errors import JournalError
from genbridge.journal.postgres.connection import options
from genbridge.journal.postgres.schema import upgrade
from genbridge.tickets import Procrastinate

LONG = "a-backend-whose-name-is-longer-than-the-name-of-a-channel-may-be"


@pytest.fixture
def url(database: str) -> DatabaseUrl:
    """Return a new database with our tables."""
    return DatabaseUrl.parse(database)


def engine_at(url: DatabaseUrl) -> Procrastinate:
    """Return an engine that waits for little."""
    return Procrastinate(url, patience=1.0, pauses=(0.05,))


def connected(url: DatabaseUrl) -> psycopg.Connection[Any]:
    """Return a connection as the journal has it."""
    return psycopg.connect(**options(url))


def give(url: DatabaseUrl, *job_ids: str, backend: str = "main") -> None:
    """Give tickets in a transaction of their own."""
    with connected(url) as connection:
        engine_at(url).give(connection, [Ticket(job_id, backend) for job_id in job_ids])


def ticketed(url: DatabaseUrl, *job_ids: str) -> set[str]:
    """Return which of the jobs have a ticket."""
    with connected(url) as connection:
        return engine_at(url).ticketed(connection, job_ids)


def hold(url: DatabaseUrl, job_id: str, *, silent: float | None) -> None:
    """Have a ticket in the hands of a worker that was last heard of so long ago, or of one that has been forgotten."""
    with connected(url) as connection:
        worker: int | None = None
        if silent is not None:
            registered = (
                "insert into procrastinate_workers (last_heartbeat) values (now() - make_interval(secs => %s)) returning id"
            )
            (worker,) = connection.execute(registered, (silent,)).fetchone() or (None,)
        taken = "update procrastinate_jobs set status = 'doing', worker_id = %s where args ->> 'job_id' = %s"
        connection.execute(taken, (worker, job_id))


class Driver:
    """Drives jobs until it is told that they have ended, and remembers which."""

    def __init__(self) -> None:
        self.begun: asyncio.Queue[str] = asyncio.Queue()
        self.cancelled: list[str] = []
        self.ends: dict[str, asyncio.Event] = {}

    async def drive(self, job_id: str) -> None:
        self.begun.put_nowait(job_id)
        try:
            await self.ends.setdefault(job_id, asyncio.Event()).wait()
        except asyncio.CancelledError:
            self.cancelled.append(job_id)
            raise

    def end(self, job_id: str) -> None:
        self.ends.setdefault(job_id, asyncio.Event()).set()


class Heard(logging.Handler):
    """Sets `told` when something is logged."""

    def __init__(self) -> None:
        super().__init__()
        self.told = asyncio.Event()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)
        self.told.set()


@asynccontextmanager
async def running(
    url: DatabaseUrl,
    drive: Callable[[str], Awaitable[None]],
    *,
    backends: list[str] | None = None,
    concurrency: int = 10,
) -> AsyncIterator[asyncio.Event]:
    """Have tickets driven until the block is left."""
    stop = asyncio.Event()
    task = asyncio.create_task(engine_at(url).run(drive, backends=backends, concurrency=concurrency, stop=stop))
    try:
        yield stop
    finally:
        stop.set()
        await task


async def until(url: DatabaseUrl, tally: Tally) -> None:
    """Wait until there are so many tickets."""
    while tally != await engine_at(url).tally():  # noqa: ASYNC110 (the database tells nobody)
        await asyncio.sleep(0)


# Giving them out.


def test_a_ticket_comes_with_the_transaction_that_gives_it(url: DatabaseUrl) -> None:
    """One that is undone has given none."""
    with connected(url) as connection:
        engine_at(url).give(connection, [Ticket("job-1", "main"), Ticket("job-2", "spare")])
        connection.rollback()
        engine_at(url).give(connection, [Ticket("job-3", "main")])
    assert {"job-3"} == ticketed(url, "job-1", "job-2", "job-3", "job-4")


def test_the_connection_is_left_as_it_was(url: DatabaseUrl) -> None:
    """Its rows are made as its owner wants them, before and after."""
    engine = engine_at(url)
    with psycopg.connect(**options(url), row_factory=psycopg.rows.dict_row) as connection:
        engine.give(connection, [Ticket("job-1", "main")])
        engine.give_again(connection)
        assert {"job-1"} == engine.ticketed(connection, ["job-1"])
        assert {"one": 1} == connection.execute("select 1 as one").fetchone()


def test_no_tickets_are_none(url: DatabaseUrl) -> None:
    """To give none asks the database nothing."""
    connection = connected(url)
    connection.close()
    engine_at(url).give(connection, [])


def test_a_lost_connection_is_the_drivers_own_error(url: DatabaseUrl) -> None:
    """The journal knows by it that the same may be tried again."""
    with connected(url) as connection:
        connection.close()
        with pytest.raises(psycopg.OperationalError):
            engine_at(url).give(connection, [Ticket("job-1", "main")])


@pytest.mark.parametrize(("silent", "held"), [(0.0, True), (29.0, True), (31.0, False), (None, False)])
def test_a_ticket_is_a_living_workers(url: DatabaseUrl, silent: float | None, held: bool) -> None:
    """One that a worker holds of whom nothing was heard for half a minute is nobody's."""
    give(url, "job-1")
    hold(url, "job-1", silent=silent)
    assert held == ("job-1" in ticketed(url, "job-1"))


@pytest.mark.parametrize(("silent", "tally"), [(29.0, Tally(0, 1)), (31.0, Tally(1, 0)), (None, Tally(1, 0))])
async def test_the_ticket_of_a_dead_worker_is_given_out_again(url: DatabaseUrl, silent: float | None, tally: Tally) -> None:
    """As a new one in the same queue, so that a worker that was only stopped has none to give back."""
    give(url, "job-1", backend=LONG)
    hold(url, "job-1", silent=silent)
    with connected(url) as connection:
        engine_at(url).give_again(connection)
    assert tally == await engine_at(url).tally()
    driver = Driver()
    driver.end("job-1")
    if tally.waiting:
        async with running(url, driver.drive, backends=[LONG]):
            assert "job-1" == await driver.begun.get()


async def test_a_database_that_is_not_there_cannot_be_asked(postgres: Server) -> None:
    """It is said without the password."""
    url = DatabaseUrl.parse(postgres.url("nothing"))
    with pytest.raises(JournalError, match="cannot be counted") as caught:
        await engine_at(url).tally()
    assert postgres.password not in str(caught.value)


# Having them driven.


async def test_a_job_is_driven_once_and_its_ticket_is_held_until_it_has_ended(url: DatabaseUrl) -> None:
    """The ticket waits for nobody then, and is gone afterwards."""
    driver = Driver()
    async with running(url, driver.drive):
        give(url, "job-1")
        assert "job-1" == await driver.begun.get()
        assert Tally(0, 1) == await engine_at(url).tally()
        driver.end("job-1")
        await until(url, Tally(0, 0))
    assert driver.begun.empty()


async def test_only_tickets_of_the_backends_named_are_taken(url: DatabaseUrl) -> None:
    """Also where a backend's name is longer than a channel's."""
    driver = Driver()
    give(url, "job-1", backend="other")
    give(url, "job-2", backend=LONG)
    async with running(url, driver.drive, backends=["main", LONG]):
        assert "job-2" == await driver.begun.get()
        driver.end("job-2")
        await until(url, Tally(1, 0))
    assert {"job-1"} == ticketed(url, "job-1", "job-2")
    assert driver.begun.empty()


async def test_so_many_are_driven_at_once(url: DatabaseUrl) -> None:
    """The next ticket is taken when one is given back."""
    driver = Driver()
    give(url, "job-1", "job-2", "job-3")
    async with running(url, driver.drive, concurrency=2):
        first = {await driver.begun.get(), await driver.begun.get()}
        assert Tally(1, 2) == await engine_at(url).tally()
        driver.end(min(first))
        assert {"job-3"} == {await driver.begun.get()}


async def test_jobs_of_one_backend_take_no_place_of_anothers(url: DatabaseUrl) -> None:
    """As one that lets few through may have thousands wait."""
    driver = Driver()
    give(url, "job-1", "job-2", "job-3")
    give(url, "job-4", backend="other")
    async with running(url, driver.drive, backends=["main", "other"], concurrency=2):
        begun = {await driver.begun.get() for _ in range(3)}
        assert "job-4" in begun
        await until(url, Tally(1, 3))


async def test_stopping_waits_for_no_drive(url: DatabaseUrl) -> None:
    """What is driven is let go of; the journal and the sweeper see to it."""
    driver = Driver()
    async with running(url, driver.drive):
        give(url, "job-1")
        await driver.begun.get()
    assert ["job-1"] == driver.cancelled
    assert set() == ticketed(url, "job-1")


async def test_a_bug_while_driving_gives_the_ticket_back(url: DatabaseUrl, caplog: pytest.LogCaptureFixture) -> None:
    """It is in the log, and others are driven."""
    driver = Driver()
    driver.end("job-2")

    async def drive(job_id: str) -> None:
        await driver.drive(job_id)
        if job_id == "job-1":
            raise KeyError(job_id)

    driver.end("job-1")
    give(url, "job-1", "job-2")
    async with running(url, drive, concurrency=1):
        await until(url, Tally(0, 0))
    assert ["job job-1: a bug in genbridge; its ticket is given back"] == [
        record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING
    ]


async def test_an_outage_ends_no_drive_and_is_told_once_with_its_end(capfd: pytest.CaptureFixture[str]) -> None:
    """Also at a worker whose hands are full, which takes no tickets that could fail; it takes others when it is over."""
    heard = Heard()
    logging.getLogger("genbridge.tickets").addHandler(heard)
    driver = Driver()
    try:
        with Server() as server:
            url = DatabaseUrl.parse(server.url())
            upgrade(url)
            give(url, "job-1")
            async with running(url, driver.drive, concurrency=1):
                assert "job-1" == await driver.begun.get()
                await asyncio.to_thread(server.kill)
                await heard.told.wait()
                await asyncio.to_thread(server.start)
                give(url, "job-2")
                driver.end("job-1")
                driver.end("job-2")
                while "job-2" != await driver.begun.get():
                    pass  # that the first ticket was taken may be lost with the server, and then it is looked at once more
                await until(url, Tally(0, 0))
    finally:
        logging.getLogger("genbridge.tickets").removeHandler(heard)
    assert [] == driver.cancelled
    begun, over = [record.getMessage() for record in heard.records]
    assert begun.startswith("no tickets are taken until the database answers again")
    assert "tickets are taken again" == over
    assert "Traceback" not in "".join(capfd.readouterr())


async def test_a_ticket_that_comes_back_finds_its_drive_going_on(url: DatabaseUrl) -> None:
    """Two tickets for one job are one drive, and both are held until it has ended."""
    driver = Driver()
    async with running(url, driver.drive):
        give(url, "job-1", "job-1")
        await driver.begun.get()
        await until(url, Tally(0, 2))
        driver.end("job-1")
        await until(url, Tally(0, 0))
    assert driver.begun.empty()
