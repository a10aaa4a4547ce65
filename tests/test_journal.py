"""The journal keeps what was paid for, and lets one driver at a time write it."""

from __future__ import annotations

import asyncio
import os
import re
import sqlite3
import stat
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import attrs
import pytest

from genbridge import (
    Asset,
    BudgetError,
    Certainty,
    Cost,
    Failure,
    ImageRequest,
    Job,
    JobStatus,
    JournalError,
    Limits,
    Media,
    Quote,
    Reference,
    Result,
    VideoRequest,
)
from genbridge.budgets import Budget, Usage, Used
from genbridge.durations import Key, Learned, Lesson, learn
from genbridge.journal import Attempt, Lease, Paused, open_journal
from genbridge.journal.file import FileStore
from genbridge.journal.sqlite import SqliteJournal
from genbridge.limits import Rule, Wait

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
REQUEST = VideoRequest(
    "a fox",
    model="seedance-2.0",
    duration=5,
    references=[
        Reference(Path("fox.png"), role="first_frame"),
        Reference("https://example.com/a.mp4", role="extend", duration=2.5),
    ],
    options={"tier": "pro", "nested": {"a": [1, None, True]}},
)


class WallClock:
    """A wall clock that tests set."""

    def __init__(self) -> None:
        self.seconds = NOON.timestamp()

    def __call__(self) -> float:
        return self.seconds


def a_job(number: int = 1, **changes: Any) -> Job:
    """Return a job that has not been sent."""
    job = Job(
        id=f"job-{number}",
        key=f"key-{number}",
        backend="studio",
        provider="meigen",
        model="seedance-2.0",
        provider_model="seedance-2-0",
        request=REQUEST,
        status=JobStatus.PENDING,
        quote=Quote(amount=100.0, model="seedance-2.0"),
        created_at=NOON + timedelta(seconds=number),
    )
    return attrs.evolve(job, **changes)


def ended(job: Job, **changes: Any) -> Job:
    """Return a job that has succeeded."""
    cost = Cost(amount=90.0)
    asset = Asset(url="https://files.example/a.mp4", media=Media.VIDEO, duration=5.0)
    result = Result(
        job_id=job.id,
        backend=job.backend,
        provider=job.provider,
        model=job.model,
        request=job.request,
        assets=(asset,),
        cost=cost,
        created_at=job.created_at,
        finished_at=NOON,
    )
    done = attrs.evolve(job, status=JobStatus.SUCCEEDED, provider_id="p1", finished_at=NOON, cost=cost, result=result)
    return attrs.evolve(done, **changes)


@pytest.fixture
def clock() -> WallClock:
    """Return the wall clock of the journals."""
    return WallClock()


@pytest.fixture
async def journal(tmp_path: Path, clock: WallClock) -> Any:
    """Return an open journal in a file."""
    journal = SqliteJournal(tmp_path / "state" / "jobs.db", now=clock)
    await journal.open()
    yield journal
    await journal.aclose()


async def begun(journal: SqliteJournal, job: Job) -> tuple[Lease, Attempt]:
    """Record a job and the intent to submit it."""
    lease = await journal.add(job, Budget())
    attempt = await journal.begin_submit(lease, [])
    assert isinstance(attempt, Attempt)
    return lease, attempt


async def test_a_job_comes_back_as_it_was_recorded(journal: SqliteJournal) -> None:
    """Every field of a request survives, local paths and nested options included."""
    await journal.add(a_job(), Budget())
    assert a_job() == await journal.get("job-1")


async def test_an_image_request_comes_back_as_an_image_request(journal: SqliteJournal) -> None:
    """The kind of request is kept."""
    job = a_job(request=ImageRequest("a hat", count=2, size="1024x1024"))
    await journal.add(job, Budget())
    assert job == await journal.get("job-1")


async def test_a_job_that_is_not_there_is_none(journal: SqliteJournal) -> None:
    """An unknown id is no error of the journal."""
    assert await journal.get("nothing") is None
    assert journal.peek("nothing") is None


async def test_the_end_is_recorded_with_result_and_cost(journal: SqliteJournal) -> None:
    """What came out, and what it cost, can be read again."""
    lease, attempt = await begun(journal, a_job())
    assert await journal.submitted(attempt, a_job(status=JobStatus.RUNNING, provider_id="p1", submitted_at=NOON))
    assert await journal.update(lease, ended(a_job()))
    assert ended(a_job()) == attrs.evolve(await journal.get("job-1"), submitted_at=None)


async def test_the_intent_is_on_record_before_anything_is_sent(journal: SqliteJournal) -> None:
    """After `begin_submit` the job is SUBMITTING, for whoever looks."""
    await begun(journal, a_job())
    job = await journal.get("job-1")
    assert job is not None
    assert job.status is JobStatus.SUBMITTING


async def test_the_intent_can_be_recorded_with_the_job(journal: SqliteJournal) -> None:
    """It is SUBMITTING at once, and its attempt is one as any: a late answer heals it."""
    lease = await journal.add(a_job(), Budget(), [])
    assert lease is not None
    assert lease.attempt is not None
    job = await journal.get("job-1")
    assert job is not None
    assert job.status is JobStatus.SUBMITTING
    await journal.unknown(lease, job)
    assert await journal.submitted(lease.attempt, a_job(status=JobStatus.RUNNING, provider_id="p1", submitted_at=NOON))
    assert "p1" == (await journal.get("job-1")).provider_id


async def test_an_intent_that_has_to_wait_is_not_recorded_with_the_job(journal: SqliteJournal) -> None:
    """The job is, and the one before it counts for the limit; one that is on record already counts once."""
    limits = [Rule(limits=Limits(submits=2))]
    for number in (1, 2):
        lease = await journal.add(a_job(number), Budget(), limits)
        assert lease is not None
        assert lease.attempt is not None
        assert await journal.add(a_job(number), Budget(), limits) is None
    third = await journal.add(a_job(3), Budget(), limits)
    assert Lease("job-3", 1) == third
    assert JobStatus.PENDING is (await journal.get("job-3")).status
    assert Wait(60.0, "at most 2 submits in 60 s") == await journal.begin_submit(third, limits)


async def test_a_job_is_submitted_only_once(journal: SqliteJournal) -> None:
    """A second `begin_submit` of a job under way gets nothing."""
    lease, _ = await begun(journal, a_job())
    assert await journal.begin_submit(lease, []) is None


async def test_a_refused_job_may_be_submitted_again(journal: SqliteJournal) -> None:
    """A refusal takes the job back to PENDING."""
    lease, attempt = await begun(journal, a_job())
    await journal.refused(attempt)
    assert isinstance(await journal.begin_submit(lease, []), Attempt)


async def test_a_late_answer_heals_an_unknown_job(journal: SqliteJournal) -> None:
    """The right attempt token records the service's id although the job was given up as unknown."""
    lease, attempt = await begun(journal, a_job())
    await journal.unknown(lease, a_job(failure=Failure(message="no answer")))
    healed = a_job(status=JobStatus.RUNNING, provider_id="p1")
    assert await journal.submitted(attempt, healed)
    assert healed == await journal.get("job-1")


async def test_an_unknown_job_says_why(journal: SqliteJournal) -> None:
    """The reason is on record."""
    lease, _ = await begun(journal, a_job())
    await journal.unknown(lease, a_job(failure=Failure(message="no answer")))
    job = await journal.get("job-1")
    assert job is not None
    assert (JobStatus.UNKNOWN, Failure(message="no answer")) == (job.status, job.failure)


async def test_a_wrong_attempt_token_changes_nothing(journal: SqliteJournal) -> None:
    """An answer to another attempt is not taken."""
    await begun(journal, a_job())
    assert not await journal.submitted(Attempt("job-1", "other"), a_job(status=JobStatus.RUNNING, provider_id="p9"))


async def test_an_ended_job_is_not_changed_any_more(journal: SqliteJournal) -> None:
    """The end is written once."""
    lease, attempt = await begun(journal, a_job())
    await journal.submitted(attempt, a_job(status=JobStatus.RUNNING, provider_id="p1"))
    await journal.update(lease, ended(a_job()))
    assert not await journal.update(lease, a_job(status=JobStatus.FAILED, finished_at=NOON))


async def test_a_living_drivers_job_cannot_be_taken(journal: SqliteJournal, tmp_path: Path, clock: WallClock) -> None:
    """One driver at a time."""
    await journal.add(a_job(), Budget())
    other = SqliteJournal(tmp_path / "state" / "jobs.db", now=clock)
    await other.open()
    assert await other.acquire("job-1") is None
    assert await other.unfinished() == []
    await other.aclose()


async def test_a_silent_drivers_job_is_taken_over_and_the_old_lease_writes_nothing(
    journal: SqliteJournal, tmp_path: Path, clock: WallClock
) -> None:
    """After half a minute without a sign of life the epoch grows, and the late driver is fenced off."""
    old = await journal.add(a_job(), Budget())
    other = SqliteJournal(tmp_path / "state" / "jobs.db", now=clock, monotonic=lambda: time.monotonic() + 31)
    await other.open()
    new = await other.acquire("job-1")
    assert new == Lease("job-1", 2)
    assert not await journal.update(old, a_job(status=JobStatus.RUNNING))
    assert await journal.begin_submit(old, []) is None
    await other.aclose()


async def test_a_driver_that_says_it_is_alive_keeps_its_jobs(journal: SqliteJournal, tmp_path: Path, clock: WallClock) -> None:
    """A beat within the half minute is enough, whatever the wall clock says."""
    await journal.add(a_job(), Budget())
    clock.seconds += 86400
    other = SqliteJournal(tmp_path / "state" / "jobs.db", now=clock, monotonic=lambda: time.monotonic() + 29)
    await other.open()
    assert await other.acquire("job-1") is None
    await other.aclose()


async def test_a_driver_whose_process_has_gone_is_dead_at_once(journal: SqliteJournal, tmp_path: Path, clock: WallClock) -> None:
    """Nobody waits half a minute for a process of this machine that does not run."""
    journal._drivers.name = journal.owner.replace(f":{os.getpid()}:", ":999999999:")
    await journal.beat()
    await journal.add(a_job(), Budget())
    other = SqliteJournal(tmp_path / "state" / "jobs.db", now=clock)
    await other.open()
    assert [a_job()] == await other.unfinished()
    assert await other.acquire("job-1") is not None
    await other.aclose()


async def test_a_job_is_taken_with_its_record(journal: SqliteJournal, tmp_path: Path, clock: WallClock) -> None:
    """As it stands then; the record is had also where another drives the job, and of an unknown one there is nothing."""
    lease = await journal.add(a_job(), Budget())
    other = SqliteJournal(tmp_path / "state" / "jobs.db", now=clock)
    await other.open()
    assert (None, a_job()) == await other.take("job-1")
    assert lease is not None
    await journal.release(lease)
    assert (Lease("job-1", 2), a_job()) == await other.take("job-1")
    assert (None, None) == await other.take("nothing")
    await other.aclose()


async def test_closing_lets_the_jobs_go(journal: SqliteJournal, tmp_path: Path, clock: WallClock) -> None:
    """What a closed client left unfinished can be taken at once, with its attempt."""
    _, attempt = await begun(journal, a_job())
    await journal.aclose()
    other = SqliteJournal(tmp_path / "state" / "jobs.db", now=clock)
    await other.open()
    lease = await other.acquire("job-1")
    assert lease is not None
    assert attempt == lease.attempt
    await other.aclose()


async def test_jobs_are_listed_newest_first_in_pages(journal: SqliteJournal) -> None:
    """A page goes on where the last one ended."""
    for number in range(5):
        await journal.add(a_job(number), Budget())
    first = await journal.page(status=None, backend=None, before=None, limit=3)
    last = first[-1]
    rest = await journal.page(status=None, backend="studio", before=(last.created_at.timestamp(), last.id), limit=3)
    assert [job.id for job in [*first, *rest]] == ["job-4", "job-3", "job-2", "job-1", "job-0"]


async def test_jobs_are_listed_by_status_and_backend(journal: SqliteJournal) -> None:
    """Filters hold."""
    await journal.add(a_job(1), Budget())
    await begun(journal, a_job(2))
    found = await journal.page(status=JobStatus.SUBMITTING, backend=None, before=None, limit=9)
    assert [job.id for job in found] == ["job-2"]
    assert await journal.page(backend="other", limit=9) == []


async def test_only_unfinished_jobs_are_listed_where_that_is_asked(journal: SqliteJournal) -> None:
    """Whatever their status is; those that have ended are left out."""
    await journal.add(a_job(1), Budget())
    await begun(journal, a_job(2))
    _, attempt = await begun(journal, a_job(3))
    await journal.submitted(attempt, ended(a_job(3)))
    assert ["job-2", "job-1"] == [job.id for job in await journal.page(unfinished=True, limit=9)]
    assert ["job-3"] == [job.id for job in await journal.page(status=JobStatus.SUCCEEDED, limit=9)]
    assert [] == await journal.page(status=JobStatus.SUCCEEDED, unfinished=True, limit=9)


async def test_a_job_is_found_by_an_unambiguous_beginning_of_its_id(journal: SqliteJournal) -> None:
    """A beginning that two jobs share finds neither, a whole id always finds its job."""
    for number in (1, 10, 2):
        await journal.add(a_job(number), Budget())
    assert journal.peek("job-2") == a_job(2)
    assert journal.peek("job-10") == a_job(10)
    assert journal.peek("job-1") == a_job(1)
    assert journal.peek("job-") is None


async def test_of_the_tries_of_one_job_the_last_is_found(journal: SqliteJournal) -> None:
    """By the beginning that they share; each by its own id."""
    for number, name in enumerate(("order-17", "order-17+2", "order-17+10", "order-18")):
        await journal.add(a_job(number, id=name), Budget())
    found = {
        name: job and job.id for name in ("order-17", "order-17+", "order-17+2", "order-1") if (job := journal.peek(name)) or True
    }
    assert {"order-17": "order-17", "order-17+": "order-17+10", "order-17+2": "order-17+2", "order-1": None} == found


async def test_a_job_dearer_than_its_cap_is_not_recorded(journal: SqliteJournal) -> None:
    """The quote goes with the error."""
    with pytest.raises(BudgetError, match="most for one job is 99") as caught:
        await journal.add(a_job(), Budget(per_job=99))
    assert a_job().quote == caught.value.quote
    assert await journal.get("job-1") is None


async def test_a_cap_on_credits_refuses_a_price_nobody_knows(journal: SqliteJournal) -> None:
    """What cannot be counted cannot be capped."""
    with pytest.raises(BudgetError, match="is not known"):
        await journal.add(a_job(quote=Quote(amount=None)), Budget(per_day=1000))


async def test_the_days_cap_counts_reservations_and_what_was_charged(journal: SqliteJournal) -> None:
    """Three hundred credits take two jobs of a hundred, one of which cost ninety, and no more than one other."""
    caps = Budget(per_day=300)
    await journal.add(a_job(1), caps)
    lease, attempt = await begun(journal, a_job(2))
    await journal.submitted(attempt, a_job(2, status=JobStatus.RUNNING, provider_id="p"))
    await journal.update(lease, ended(a_job(2)))
    await journal.add(a_job(3), caps)
    with pytest.raises(BudgetError, match="spent or reserved 290 today"):
        await journal.add(a_job(4), caps)


async def test_a_refused_jobs_reservation_is_released(journal: SqliteJournal) -> None:
    """A job that cost nothing does not count."""
    caps = Budget(per_day=100, jobs_per_day=1)
    lease = await journal.add(a_job(1), caps)
    with pytest.raises(BudgetError, match="spent or reserved 100 today"):
        await journal.add(a_job(2), caps)
    await journal.update(lease, a_job(1, status=JobStatus.FAILED, finished_at=NOON, cost=Cost(amount=0)))
    await journal.add(a_job(2), caps)


async def test_a_job_that_was_made_for_nothing_counts_as_a_job(journal: SqliteJournal) -> None:
    """The caps in jobs are for what is made, and not for what is paid."""
    lease, attempt = await begun(journal, a_job(1))
    await journal.submitted(attempt, a_job(1, status=JobStatus.RUNNING, provider_id="p1"))
    await journal.update(lease, ended(a_job(1), cost=Cost(amount=0)))
    assert Used(amount=0.0, jobs=1) == (await journal.usage("studio")).ever
    with pytest.raises(BudgetError, match="has had 1 jobs, the most is 1"):
        await journal.add(a_job(2), Budget(jobs=1))


async def test_the_days_cap_on_jobs_counts_them(journal: SqliteJournal) -> None:
    """One a day is one a day, and the next day is another."""
    await journal.add(a_job(1), Budget(jobs_per_day=1))
    with pytest.raises(BudgetError, match="has had 1 jobs today"):
        await journal.add(a_job(2), Budget(jobs_per_day=1))


async def test_yesterdays_jobs_do_not_count(journal: SqliteJournal, clock: WallClock) -> None:
    """The day begins at midnight, UTC."""
    caps = Budget(per_day=100)
    await journal.add(a_job(1), caps)
    with pytest.raises(BudgetError, match="spent or reserved 100 today"):
        await journal.add(a_job(2), caps)
    clock.seconds += 86400
    await journal.add(a_job(2, created_at=NOON + timedelta(days=1)), caps)


async def test_submits_wait_for_the_limit_over_all_jobs_of_a_backend(journal: SqliteJournal, clock: WallClock) -> None:
    """Never more than the limit in any window."""
    limits = [Rule(limits=Limits(submits=2, per=60))]
    leases = [await journal.add(a_job(number), Budget()) for number in range(3)]
    for lease in leases[:2]:
        attempt = await journal.begin_submit(lease, limits)
        assert isinstance(attempt, Attempt)
        await journal.refused(attempt)
        clock.seconds += 10
    clock.seconds -= 10
    assert Wait(50.0, "at most 2 submits in 60 s") == await journal.begin_submit(leases[2], limits)
    clock.seconds += 50
    assert isinstance(await journal.begin_submit(leases[2], limits), Attempt)


async def test_a_limit_on_jobs_at_once_counts_what_the_service_works_on(journal: SqliteJournal) -> None:
    """A job that ended makes room."""
    limits = [Rule(limits=Limits(concurrent=1))]
    lease, attempt = await begun(journal, a_job(1))
    second = await journal.add(a_job(2), Budget())
    assert isinstance(await journal.begin_submit(second, limits), Wait)
    await journal.submitted(attempt, a_job(1, status=JobStatus.RUNNING, provider_id="p"))
    await journal.update(lease, ended(a_job(1)))
    assert isinstance(await journal.begin_submit(second, limits), Attempt)


async def test_a_pause_holds_every_submit_of_a_backend(journal: SqliteJournal, clock: WallClock) -> None:
    """A later, shorter pause does not shorten it, and another backend is not held."""
    await journal.pause("studio", 30, Paused.SUBMITS)
    await journal.pause("studio", 5, Paused.SUBMITS)
    lease = await journal.add(a_job(1), Budget())
    other = await journal.add(a_job(2, backend="spare"), Budget())
    assert Wait(30.0, "the service asked for a pause") == await journal.begin_submit(lease, [])
    assert isinstance(await journal.begin_submit(other, []), Attempt)
    clock.seconds += 30
    assert isinstance(await journal.begin_submit(lease, []), Attempt)


async def test_the_file_and_its_folder_are_the_users_alone(journal: SqliteJournal, tmp_path: Path) -> None:
    """Prompts are private."""
    await journal.add(a_job(), Budget())
    folder = tmp_path / "state"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {0o600} == {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()}


async def test_a_journal_in_memory_needs_no_file() -> None:
    """`None` is memory."""
    journal = open_journal(None)
    await journal.open()
    await journal.add(a_job(), Budget())
    assert a_job() == await journal.get("job-1")
    await journal.aclose()
    await journal.aclose()


async def test_a_journal_that_is_not_open_says_so() -> None:
    """Not a hang."""
    with pytest.raises(JournalError, match="is not open"):
        await open_journal(None).get("job-1")


def _newer(path: Path) -> None:
    with sqlite3.connect(path) as db:
        db.execute("pragma user_version = 99")
    db.close()


def _foreign(path: Path) -> None:
    with sqlite3.connect(path) as db:
        db.execute("create table songs (title)")
    db.close()


def _garbage(path: Path) -> None:
    path.write_bytes(b"this is no database, whatever its name says" * 99)


def _folder(path: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize(
    ("make", "words"),
    [(_newer, "newer genbridge"), (_foreign, "something else"), (_garbage, "cannot be opened"), (_folder, "cannot be opened")],
)
async def test_a_file_that_cannot_be_the_journal_is_named(tmp_path: Path, make: Any, words: str) -> None:
    """Before anything is sent, one sentence says what is wrong with which file."""
    path = tmp_path / "jobs.db"
    make(path)
    with pytest.raises(JournalError, match=words) as caught:
        await open_journal(path).open()
    assert str(path) in str(caught.value)


async def test_two_processes_may_make_the_journal_at_once(tmp_path: Path) -> None:
    """The schema is made once."""
    journals = [open_journal(tmp_path / "jobs.db") for _ in range(4)]
    for journal in journals:
        await journal.open()
    await journals[0].add(a_job(), Budget())
    assert a_job() == await journals[3].get("job-1")
    for journal in journals:
        await journal.aclose()


async def test_a_new_file_that_another_process_writes_is_waited_for(tmp_path: Path) -> None:
    """SQLite gives up at once where two turn the write-ahead log of a new file on together, so that one has to try again."""
    path = tmp_path / "jobs.db"
    writer = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    writer.execute("begin immediate")
    pauses: list[float] = []

    def stop_writing(seconds: float) -> None:
        pauses.append(seconds)
        writer.close()

    store = FileStore(path, lambda _: None, sleep=stop_writing)
    await store.open()
    assert 1 == len(pauses)
    assert "wal" == await store.do(lambda db: db.execute("pragma journal_mode").fetchone()[0])
    await store.aclose()


_READ = """
import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
print(*(row[0] for row in db.execute("select id from jobs")))
db.close()
"""


def _ids_elsewhere(path: Path) -> list[str]:
    """Return the ids on record as another process reads them, which removes the log as it leaves when it is the last."""
    return subprocess.run([sys.executable, "-c", _READ, str(path)], capture_output=True, text=True, check=True).stdout.split()


async def test_a_second_client_of_a_process_leaves_the_locks_of_the_first(journal: SqliteJournal, tmp_path: Path) -> None:
    """Without them another process takes itself for the last, removes the log, and what is written afterwards is lost."""
    path = tmp_path / "state" / "jobs.db"
    second = open_journal(path)
    await second.open()
    assert [] == _ids_elsewhere(path)
    await journal.add(a_job(), Budget())
    assert ["job-1"] == _ids_elsewhere(path)
    await second.aclose()


async def test_whoever_asks_while_it_is_being_closed_is_told(journal: SqliteJournal) -> None:
    """Nobody waits for an answer that nobody gives any more."""
    closing = asyncio.create_task(journal._store.aclose())
    await asyncio.sleep(0)
    with pytest.raises(JournalError, match="not open"):
        await journal.get("job-1")
    with pytest.raises(JournalError, match="not open"):
        journal.peek("job-1")
    await closing


async def test_a_journal_stays_where_it_was_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when its path was relative and the program goes to another folder."""
    monkeypatch.chdir(tmp_path)
    journal = open_journal(Path("jobs.db"))
    await journal.open()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    await begun(journal, a_job())  # type: ignore[arg-type]
    await journal.aclose()


_FORK = """
import asyncio, os, signal, sys
from pathlib import Path
from genbridge.journal import file, open_journal
with file._OPENING:
    child = os.fork()
    if child == 0:
        signal.alarm(20)
        asyncio.run(open_journal(Path(sys.argv[1])).open())
        os._exit(0)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the process is forked")
def test_a_process_forked_while_a_journal_is_being_opened_can_open_one(tmp_path: Path) -> None:
    """What was held at that moment is held by nobody there."""
    assert 0 == subprocess.run([sys.executable, "-c", _FORK, str(tmp_path / "jobs.db")], timeout=60, check=False).returncode


async def test_a_full_disk_is_an_error_of_the_write_alone(journal: SqliteJournal) -> None:
    """The write that did not fit says so, and the journal goes on when there is room again."""
    await journal._store.do(lambda db: db.execute("pragma max_page_count = 1"))
    big = a_job(1, request=ImageRequest("x" * 100_000))
    with pytest.raises(JournalError, match="cannot be written"):
        await journal.add(big, Budget())
    await journal._store.do(lambda db: db.execute("pragma max_page_count = 100000"))
    await journal.add(big, Budget())
    assert big == await journal.get("job-1")


async def test_a_row_that_cannot_be_read_is_a_journal_error(journal: SqliteJournal) -> None:
    """A damaged document is named, not a traceback of the reader."""
    await journal.add(a_job(), Budget())
    await journal._store.do(lambda db: db.execute("update jobs set request = '{}'"))
    with pytest.raises(JournalError, match="cannot be read"):
        await journal.get("job-1")


async def test_a_damaged_row_does_not_hide_the_others(journal: SqliteJournal, caplog: pytest.LogCaptureFixture) -> None:
    """Lists leave it out, and the log names it with the service's id."""
    for number in (1, 2):
        await journal.add(a_job(number), Budget())
    await journal._store.do(lambda db: db.execute("update jobs set status = 'weird', provider_id = 'p7' where id = 'job-1'"))
    assert [a_job(2)] == await journal.unfinished()
    assert [a_job(2)] == await journal.page(status=None, backend=None, before=None, limit=9)
    assert any("job-1" in record.getMessage() and "p7" in record.getMessage() for record in caplog.records)


async def test_a_damaged_row_does_not_shorten_a_page(journal: SqliteJournal) -> None:
    """A page that is short is the last, and what comes after it would never be seen."""
    for number in range(4):
        await journal.add(a_job(number), Budget())
    await journal._store.do(lambda db: db.execute("update jobs set quote = '{' where id = 'job-2'"))
    assert ["job-3", "job-1"] == [job.id for job in await journal.page(limit=2)]


async def test_a_journal_that_was_removed_takes_no_intent(journal: SqliteJournal) -> None:
    """Nobody would find it again, so nothing is sent."""
    lease = await journal.add(a_job(), Budget())
    assert journal.path is not None
    journal.path.unlink()
    with pytest.raises(JournalError, match="removed or replaced"):
        await journal.begin_submit(lease, [])
    with pytest.raises(JournalError, match="removed or replaced"):
        await journal.add(a_job(2), Budget(), [])


async def test_a_path_that_no_system_takes_is_told() -> None:
    """And not waited for."""
    with pytest.raises(JournalError, match="cannot be opened"):
        await open_journal(Path("a\0b")).open()


async def test_a_clock_set_back_does_not_stop_submits_for_long(journal: SqliteJournal, clock: WallClock) -> None:
    """Times in the future count as of now."""
    limits = [Rule(limits=Limits(submits=1, per=60))]
    leases = [await journal.add(a_job(number), Budget()) for number in range(2)]
    attempt = await journal.begin_submit(leases[0], limits)
    assert isinstance(attempt, Attempt)
    await journal.refused(attempt)
    clock.seconds -= 3600
    assert Wait(60.0, "at most 1 submits in 60 s") == await journal.begin_submit(leases[1], limits)
    clock.seconds += 60
    assert isinstance(await journal.begin_submit(leases[1], limits), Attempt)


async def test_a_job_in_doubt_counts_as_running_for_half_an_hour(journal: SqliteJournal, clock: WallClock) -> None:
    """Then it no longer holds up the others."""
    lease, _ = await begun(journal, a_job(1))
    await journal.unknown(lease, a_job(1))
    second = await journal.add(a_job(2), Budget())
    assert isinstance(await journal.begin_submit(second, [Rule(limits=Limits(concurrent=1))]), Wait)
    clock.seconds += 1802
    assert isinstance(await journal.begin_submit(second, [Rule(limits=Limits(concurrent=1))]), Attempt)


async def test_a_job_let_go_can_be_taken_and_its_old_lease_is_worth_nothing(journal: SqliteJournal) -> None:
    """By whoever comes first."""
    lease = await journal.add(a_job(), Budget())
    await journal.release(lease)
    assert await journal.acquire("job-1") == Lease("job-1", 2)
    assert not await journal.update(lease, a_job(status=JobStatus.RUNNING))


async def test_closing_a_journal_that_cannot_be_written_closes_it(journal: SqliteJournal, caplog: pytest.LogCaptureFixture) -> None:
    """The log says so, and the thread ends."""
    await journal._store.do(lambda db: db.execute("drop table drivers"))
    await journal.aclose()
    with pytest.raises(JournalError, match="not open"):
        await journal.get("job-1")
    assert any("cannot be written" in record.getMessage() for record in caplog.records)


async def test_a_job_is_recorded_once(journal: SqliteJournal) -> None:
    """Whoever comes second with its id gets no lease, and changes nothing."""
    await journal.add(a_job(), Budget())
    assert await journal.add(a_job(quote=Quote(amount=5.0)), Budget(jobs=1)) is None
    assert a_job() == await journal.get("job-1")


async def test_a_job_counts_for_the_day_on_which_it_is_sent(journal: SqliteJournal, clock: WallClock) -> None:
    """And until then for that on which it was recorded, so that no day has more submits than its cap."""
    caps = Budget(jobs_per_day=1)
    waiting = await journal.add(a_job(1), caps)
    assert waiting is not None
    clock.seconds += 86400
    assert Usage(ever=Used(amount=100.0, jobs=1)) == await journal.usage("studio")
    assert isinstance(await journal.begin_submit(waiting, [], caps), Attempt)
    assert Used(amount=100.0, jobs=1) == (await journal.usage("studio")).today
    later = a_job(2, created_at=NOON + timedelta(days=1))
    with pytest.raises(BudgetError, match="has had 1 jobs today"):
        await journal.add(later, caps)


async def test_what_was_recorded_yesterday_is_not_sent_above_the_cap_of_today(journal: SqliteJournal, clock: WallClock) -> None:
    """The day may be full by then."""
    caps = Budget(per_day=100)
    waiting = await journal.add(a_job(1), caps)
    assert waiting is not None
    clock.seconds += 86400
    await journal.add(a_job(2, created_at=NOON + timedelta(days=1)), caps)
    with pytest.raises(BudgetError, match="spent or reserved 100 today"):
        await journal.begin_submit(waiting, [], caps)


async def test_caps_for_ever_count_all_days(journal: SqliteJournal, clock: WallClock) -> None:
    """Beside those of a day."""
    await journal.add(a_job(1, created_at=NOON - timedelta(days=9)), Budget())
    assert Usage(ever=Used(amount=100.0, jobs=1)) == await journal.usage("studio")
    assert await journal.add(a_job(2), Budget(per_day=100, jobs_per_day=1)) is not None
    for budget in (Budget(total=299), Budget(jobs=2)):
        with pytest.raises(BudgetError):
            await journal.add(a_job(3), budget)


async def test_a_submit_counts_from_its_answer(journal: SqliteJournal, clock: WallClock) -> None:
    """Nobody knows when before that it arrived, so a window at the service never has more than is allowed."""
    rules = [Rule(limits=Limits(submits=1, per=60))]
    first = await journal.add(a_job(1), Budget())
    second = await journal.add(a_job(2), Budget())
    attempt = await journal.begin_submit(first, rules)
    assert isinstance(attempt, Attempt)
    clock.seconds += 80
    assert Wait(60.0, "at most 1 submits in 60 s") == await journal.begin_submit(second, rules)
    await journal.submitted(attempt, a_job(1, status=JobStatus.RUNNING, provider_id="p1"))
    clock.seconds += 59
    assert Wait(1.0, "at most 1 submits in 60 s") == await journal.begin_submit(second, rules)
    clock.seconds += 1
    assert isinstance(await journal.begin_submit(second, rules), Attempt)


async def test_a_submit_that_nobody_answers_does_not_count_for_ever(journal: SqliteJournal, clock: WallClock) -> None:
    """After two minutes it has arrived or never will."""
    rules = [Rule(limits=Limits(submits=1, per=60))]
    await begun(journal, a_job(1))
    second = await journal.add(a_job(2), Budget())
    clock.seconds += 179
    assert Wait(1.0, "at most 1 submits in 60 s") == await journal.begin_submit(second, rules)
    clock.seconds += 1
    assert isinstance(await journal.begin_submit(second, rules), Attempt)


@pytest.mark.parametrize(
    ("rule", "subject"),
    [
        (Rule(limits=Limits(submits=1), media=Media.VIDEO), " of videos"),
        (Rule(limits=Limits(submits=1), model="seedance-2.0"), " of seedance-2.0"),
        (Rule(limits=Limits(concurrent=1), media=Media.VIDEO), " of videos"),
        (Rule(limits=Limits(concurrent=1), model="seedance-2.0"), " of seedance-2.0"),
    ],
)
async def test_a_limit_of_a_medium_or_a_model_holds_only_its_own(journal: SqliteJournal, rule: Rule, subject: str) -> None:
    """Another of the same backend goes on."""
    await begun(journal, a_job(1))
    same = await journal.add(a_job(2), Budget())
    other = await journal.add(a_job(3, request=ImageRequest("a hat"), model="nano-banana-2"), Budget())
    wait = await journal.begin_submit(same, [rule])
    assert isinstance(wait, Wait)
    assert subject in wait.reason
    narrow = attrs.evolve(rule, media=rule.media and Media.IMAGE, model=rule.model and "nano-banana-2")
    assert isinstance(await journal.begin_submit(other, [narrow]), Attempt)


@pytest.mark.parametrize("other", [{"request": ImageRequest("a hat")}, {"model": "veo-3.1"}])
async def test_a_limit_looks_back_as_far_as_it_says_whatever_else_is_submitted(
    journal: SqliteJournal, clock: WallClock, other: dict[str, Any]
) -> None:
    """A job that has a shorter limit, or none, takes nothing from the history of another's."""
    rules = [Rule(limits=Limits(submits=1, per=3600), media=Media.VIDEO, model="seedance-2.0")]
    await begun(journal, a_job(1))
    clock.seconds += 600
    await begun(journal, a_job(2, **other))
    third = await journal.add(a_job(3), Budget())
    assert third is not None
    assert isinstance(await journal.begin_submit(third, rules), Wait)
    clock.seconds += 3120
    assert isinstance(await journal.begin_submit(third, rules), Attempt)


async def test_submits_that_no_limit_counts_any_more_are_forgotten(journal: SqliteJournal, clock: WallClock) -> None:
    """So that the record of them does not grow for ever, also of those that an earlier release recorded without their model."""
    await journal._store.do(lambda db: db.execute("insert into submits (backend, at) values ('studio', ?)", (clock.seconds,)))
    for number in range(1, 4):
        await begun(journal, a_job(number))
        clock.seconds += 121
    assert 1 == await journal._store.do(lambda db: db.execute("select count(*) from submits").fetchone()[0])


async def test_of_several_limits_the_longest_wait_is_told(journal: SqliteJournal) -> None:
    """So that nobody looks again too soon."""
    await begun(journal, a_job(1))
    second = await journal.add(a_job(2), Budget())
    rules = [Rule(limits=Limits(concurrent=1)), Rule(limits=Limits(submits=1, per=30))]
    assert Wait(30.0, "at most 1 submits in 30 s") == await journal.begin_submit(second, rules)


async def test_a_pause_is_not_made_longer_by_a_clock_that_is_set_back(journal: SqliteJournal, clock: WallClock) -> None:
    """Half a minute stays half a minute."""
    await journal.pause("studio", 30, Paused.POLLS)
    clock.seconds -= 3600
    assert {"studio": 30.0} == await journal.pauses(Paused.POLLS)
    clock.seconds += 31
    assert {} == await journal.pauses(Paused.POLLS)
    assert {} == await journal.pauses(Paused.SUBMITS)


async def test_a_late_answer_heals_a_job_that_was_said_never_to_have_been_sent(journal: SqliteJournal) -> None:
    """The service knows better, and the reservation is held again."""
    lease, attempt = await begun(journal, a_job())
    await journal.unknown(lease, a_job())
    failure = Failure(message="not found", code="not_sent")
    cost = Cost(amount=0.0)
    assert await journal.update(lease, a_job(status=JobStatus.FAILED, finished_at=NOON, failure=failure, cost=cost))
    assert Usage() == await journal.usage("studio")
    accepted = a_job(status=JobStatus.QUEUED, provider_id="p1", submitted_at=NOON)
    assert await journal.submitted(attempt, accepted)
    assert accepted == await journal.get("job-1")
    assert Used(amount=100.0, jobs=1) == (await journal.usage("studio")).ever


async def test_a_late_answer_does_not_heal_a_job_that_failed(journal: SqliteJournal) -> None:
    """Its end is the service's own word."""
    lease, attempt = await begun(journal, a_job())
    failure = Failure(message="too dark", code="moderated")
    await journal.update(lease, a_job(status=JobStatus.FAILED, finished_at=NOON, failure=failure))
    assert not await journal.submitted(attempt, a_job(status=JobStatus.QUEUED, provider_id="p1"))


async def test_a_job_is_found_by_the_services_id(journal: SqliteJournal) -> None:
    """On its own backend only."""
    _, attempt = await begun(journal, a_job())
    await journal.submitted(attempt, a_job(status=JobStatus.RUNNING, provider_id="p1"))
    found = await journal.holder("studio", "p1")
    assert found is not None
    assert found.id == "job-1"
    assert await journal.holder("spare", "p1") is None


async def test_files_that_are_wanted_somewhere_are_on_record_until_they_are_there(journal: SqliteJournal, tmp_path: Path) -> None:
    """Once the job has succeeded."""
    lease = await journal.add(a_job(1, save_to=tmp_path), Budget())
    await journal.add(a_job(2), Budget())
    assert lease is not None
    assert [] == await journal.unsaved()
    await journal.update(lease, ended(a_job(1, save_to=tmp_path)))
    assert [tmp_path] == [job.save_to for job in await journal.unsaved()]
    await journal.saved("job-1")
    assert [] == await journal.unsaved()


async def test_a_job_that_had_expired_is_taken_once_and_its_old_lease_is_worth_nothing(journal: SqliteJournal) -> None:
    """What it reserves is held, whatever had been presumed of its cost."""
    lease = await journal.add(a_job(), Budget())
    assert lease is not None
    expired = a_job(status=JobStatus.EXPIRED, provider_id="p1", finished_at=NOON, cost=Cost(amount=0.0))
    await journal.update(lease, expired)
    assert Usage() == await journal.usage("studio")
    again = attrs.evolve(expired, status=JobStatus.RUNNING, finished_at=None, cost=None)
    assert Lease("job-1", 2) == await journal.reopen(again)
    assert await journal.reopen(again) is None
    assert not await journal.update(lease, expired)
    assert again == await journal.get("job-1")
    assert Used(amount=100.0, jobs=1) == (await journal.usage("studio")).ever


async def test_fresh_links_go_into_the_record_of_a_job_that_succeeded(journal: SqliteJournal) -> None:
    """And nothing else of it changes."""
    lease = await journal.add(a_job(), Budget())
    assert lease is not None
    await journal.update(lease, ended(a_job()))
    before = await journal.get("job-1")
    assert before is not None
    assert before.result is not None
    asset = Asset(url="https://files.example/fresh.mp4", media=Media.VIDEO)
    fresh = attrs.evolve(before, result=attrs.evolve(before.result, assets=(asset,)))
    await journal.refresh(fresh)
    assert fresh == await journal.get("job-1")


async def test_what_was_spent_is_summed_by_day_backend_and_model(journal: SqliteJournal) -> None:
    """What is known, what is estimated, what is held, and what nobody knows the price of."""
    for number, cost in ((1, Cost(amount=90.0)), (2, Cost(amount=50.0, certainty=Certainty.ESTIMATED)), (3, Cost(amount=0.0))):
        lease = await journal.add(a_job(number), Budget())
        assert lease is not None
        status = JobStatus.FAILED if cost.amount == 0 else JobStatus.SUCCEEDED
        await journal.update(lease, ended(a_job(number), status=status, cost=cost))
    await journal.add(a_job(4), Budget())
    await journal.add(a_job(5, quote=Quote(amount=None)), Budget())
    await journal.add(a_job(6, backend="spare", created_at=NOON - timedelta(days=2)), Budget())
    spare, studio = await journal.spent(0.0)
    assert ("spare", 1, 0.0, 100.0, NOON.date() - timedelta(days=2)) == (
        spare.backend,
        spare.jobs,
        spare.charged,
        spare.reserved,
        spare.day,
    )
    assert ("studio", "seedance-2.0", Media.VIDEO, "credits") == (studio.backend, studio.model, studio.media, studio.unit)
    assert (5, 140.0, 50.0, 100.0, 1) == (studio.jobs, studio.charged, studio.estimated, studio.reserved, studio.unpriced)
    assert [studio] == await journal.spent(NOON.timestamp())


async def test_a_journal_that_could_not_be_opened_can_be_closed(tmp_path: Path) -> None:
    """Nobody waits for a thread that is not there."""
    journal = SqliteJournal(tmp_path)
    with pytest.raises(JournalError, match="cannot be opened"):
        await journal.open()
    await journal.aclose()
    with pytest.raises(JournalError, match="not open"):
        await journal.get("job-1")


async def test_a_journal_that_others_could_read_is_closed_to_them(tmp_path: Path, clock: WallClock) -> None:
    """With the files beside it; the folder is left as its user made it."""
    path = tmp_path / "jobs.db"
    first = SqliteJournal(path, now=clock)
    await first.open()
    files = [path, tmp_path / "jobs.db-wal", tmp_path / "jobs.db-shm"]
    for file in files:
        file.chmod(0o666)
    second = SqliteJournal(path, now=clock)
    await second.open()
    assert [0o600] * 3 == [stat.S_IMODE(file.stat().st_mode) for file in files]
    await second.aclose()
    await first.aclose()


async def test_a_late_answer_goes_before_what_a_person_found(journal: SqliteJournal) -> None:
    """They took another job for it."""
    lease, attempt = await begun(journal, a_job())
    assert await journal.settle(lease, a_job(status=JobStatus.QUEUED, provider_id="another", submitted_at=NOON))
    own = a_job(status=JobStatus.QUEUED, provider_id="p1", submitted_at=NOON)
    assert await journal.submitted(attempt, own)
    assert own == await journal.get("job-1")
    assert not await journal.settle(attrs.evolve(lease, epoch=7), own)


async def test_a_job_that_nobody_follows_holds_its_place_for_half_an_hour(
    journal: SqliteJournal, tmp_path: Path, clock: WallClock
) -> None:
    """One that somebody follows holds it for as long as it runs."""
    rules = [Rule(limits=Limits(concurrent=1))]
    other = SqliteJournal(tmp_path / "state" / "jobs.db", now=clock)
    await other.open()
    _, attempt = await begun(journal, a_job(1))
    await journal.submitted(attempt, a_job(1, status=JobStatus.RUNNING, provider_id="p1", submitted_at=NOON))
    second = await other.add(a_job(2), Budget())
    assert second is not None
    clock.seconds += 1801
    assert isinstance(await other.begin_submit(second, rules), Wait)
    await journal.aclose()
    clock.seconds -= 10
    assert isinstance(await other.begin_submit(second, rules), Wait)
    clock.seconds += 10
    assert isinstance(await other.begin_submit(second, rules), Attempt)
    await other.aclose()


async def test_half_an_hour_of_waiting_takes_nothing_from_a_jobs_place(
    journal: SqliteJournal, tmp_path: Path, clock: WallClock
) -> None:
    """One whose process dies in its POST may run at the service from then on, however long it had waited to be sent."""
    rules = [Rule(limits=Limits(concurrent=1))]
    waiting = await journal.add(a_job(1), Budget())
    assert waiting is not None
    clock.seconds += 1900
    assert isinstance(await journal.begin_submit(waiting, rules), Attempt)
    await journal.aclose()
    other = SqliteJournal(tmp_path / "state" / "jobs.db", now=clock)
    await other.open()
    second = await other.add(a_job(2), Budget())
    assert second is not None
    clock.seconds += 1799
    assert isinstance(await other.begin_submit(second, rules), Wait)
    clock.seconds += 1
    assert isinstance(await other.begin_submit(second, rules), Attempt)
    await other.aclose()


async def test_a_journal_is_used_by_the_process_that_opened_it(journal: SqliteJournal) -> None:
    """Another, forked off, would wait for a thread that it does not have."""
    journal._store._pid += 1
    with pytest.raises(JournalError, match="was opened by another process; open one in each"):
        await journal.get("job-1")
    journal._store._pid -= 1


async def everything(journal: SqliteJournal) -> None:
    """Ask a journal for everything that it does."""
    rules = [Rule(limits=Limits(submits=1, concurrent=1)), Rule(limits=Limits(submits=9, concurrent=9), media=Media.VIDEO)]
    caps = Budget(per_day=1e6, jobs_per_day=9, total=1e6, jobs=9)
    job = a_job()
    lease = await journal.add(job, caps)
    attempt = await journal.begin_submit(lease, rules, caps)
    assert isinstance(attempt, Attempt)
    await journal.refused(attempt)
    assert isinstance(await journal.begin_submit(lease, rules, caps), Wait)
    await journal.unknown(lease, attrs.evolve(job, failure=Failure(message="lost")))
    await journal.release(lease)
    lease = await journal.acquire(job.id)
    await journal.submitted(attempt, attrs.evolve(job, status=JobStatus.QUEUED, provider_id="p1"))
    await journal.settle(lease, ended(job))
    await journal.refresh(ended(job))
    await journal.pause("studio", 1.0, Paused.POLLS)
    for status in (None, *JobStatus):
        for backend in (None, "studio"):
            for before in (None, (NOON.timestamp(), "job-1")):
                await journal.page(status=status, backend=backend, before=before, limit=9)
                await journal.page(status=status, backend=backend, before=before, limit=9, unfinished=True)
    await journal.unfinished()
    await journal.unsaved()
    await journal.holder("studio", "p1")
    await journal.spent(NOON.timestamp())
    await journal.usage("studio")
    await journal.get("job-1")
    await journal.saved("job-1")
    journal.peek("job")
    await journal.beat()


async def test_nothing_that_is_asked_reads_the_jobs_that_have_ended(tmp_path: Path, clock: WallClock) -> None:
    """But for those it returns: a journal of a million jobs is as quick as an empty one."""
    journal = SqliteJournal(tmp_path / "jobs.db", now=clock, inline=True)
    await journal.open()
    asked: set[str] = set()
    journal._store.look_now(lambda db: db.set_trace_callback(asked.add))
    await everything(journal)
    journal._store.look_now(lambda db: db.set_trace_callback(None))
    scans = {
        f"{step} for {statement}"
        for statement in asked
        if statement.split(maxsplit=1)[0].lower() in {"select", "update", "insert", "delete"}
        for step in await journal._store.do(lambda db, text=statement: [row[3] for row in db.execute(f"explain query plan {text}")])
        if re.match(r"SCAN (jobs|spent)\b", step) and not re.search(r"jobs_(unfinished|unsaved)$", step)
    }
    listings = {scan for scan in scans if scan.startswith("SCAN jobs USING INDEX jobs_created for") and "true order by" in scan}
    assert len(listings) == 1
    assert listings == scans
    await journal.aclose()


# How long jobs take.

KEY = Key("meigen", "seedance-2-0", "video", "- 5")


async def test_what_a_job_teaches_is_kept_with_its_end(journal: SqliteJournal) -> None:
    """By what it is of, and going on from what was known."""
    for number in (1, 2):
        lease = await journal.add(a_job(number), Budget())
        assert lease is not None
        assert await journal.update(lease, ended(a_job(number)), [Lesson(KEY, 60.0, 63.0)])
    expected = learn(learn(None, 60.0, 63.0), 60.0, 63.0)
    assert ({KEY: expected}, expected) == (await journal.durations(), await journal.learned(KEY))
    assert await journal.learned(attrs.evolve(KEY, variant="720p 5")) is None


async def test_a_driver_that_lost_its_job_teaches_nothing(journal: SqliteJournal) -> None:
    """Its end is not recorded either."""
    lease = await journal.add(a_job(), Budget())
    assert lease is not None
    assert not await journal.update(attrs.evolve(lease, epoch=7), ended(a_job()), [Lesson(KEY, 60.0, 63.0)])
    assert {} == await journal.durations()


@pytest.mark.parametrize("row", [Learned(0.0, 4.5), Learned(-3.0, 4.5), Learned(2.0, 1e300), Learned(5.0, 4.5, -100.0)])
async def test_a_damaged_row_does_not_keep_an_end_from_being_recorded(journal: SqliteJournal, row: Learned) -> None:
    """The job is paid for."""
    lease = await journal.add(a_job(), Budget())
    assert lease is not None
    values = (*attrs.astuple(KEY), *attrs.astuple(row))
    await journal._store.do(lambda db: db.execute("insert into durations values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", values))
    assert await journal.update(lease, ended(a_job()), [Lesson(KEY, 60.0, 63.0)])
    job = await journal.get("job-1")
    assert job is not None
    assert JobStatus.SUCCEEDED is job.status
    assert {KEY: learn(None, 60.0, 63.0)} == await journal.durations()
