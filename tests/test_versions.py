"""What earlier releases wrote is read by this one: journals, sidecars, files that were still arriving (see `tests/fixtures`)."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import shutil
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import closing
from datetime import datetime, timedelta
from enum import Enum
from hashlib import sha256
from pathlib import Path
from typing import Any

import attrs
import pytest
from aiohttp import web
from children import die_at_each_statement, jobs_in, open_and_count
from studio import InlineJournal

from genbridge import (
    BudgetError,
    Call,
    Client,
    Emulator,
    ImageRequest,
    JobStatus,
    JournalError,
    Reply,
    Result,
)
from genbridge.budgets import Budget
from genbridge.catalogue import Limits
from genbridge.config import BackendConfig, Config, Secret
from genbridge.downloads import download
from genbridge.journal import Paused, schema
from genbridge.journal.schema import VERSION
from genbridge.journal.sqlite import SqliteJournal
from genbridge.limits import Rule, Wait
from genbridge.plugins import installed
from genbridge.testing.clock import FakeClock
from genbridge.transport import Origin

FIXTURES = Path(__file__).parent / "fixtures"
RELEASE = "0.1.0"
LISTED: list[dict[str, Any]] = json.loads((FIXTURES / f"journal-{RELEASE}.json").read_text())
"""The jobs, newest first, as the release itself read them."""
SAID: dict[str, dict[str, Any]] = json.loads((FIXTURES / f"service-{RELEASE}.json").read_text())
"""What the services said afterwards, by path."""
PROVIDERS = {"film": "imini", "busy": "imini", "paint": "meigen", "press": "sseedance", "slow": "sseedance"}
"""The backends that the release had, and whose accounts they were."""
UNSENT = {"[busy] come back later", "second in a minute"}
LAST = datetime.fromisoformat(LISTED[0]["created_at"])
LATER = LAST + timedelta(hours=2)
"""When nobody of those who wrote the journal can be alive any more."""
KEPT = ("jobs", "submits")
"""The tables of which no row may be lost; the others say what was so for a moment."""
TABLES = (*KEPT, "pauses", "drivers")
Serve = Callable[[bytes, str], Awaitable[tuple[str, list[str | None]]]]


# What there is.


@pytest.fixture
def journal_file(tmp_path: Path) -> Path:
    """Copy the journal that the release left."""
    return Path(shutil.copy(FIXTURES / f"journal-{RELEASE}.db", tmp_path / "jobs.db"))


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Serve a file under an ETag; gives its URL and the ranges that were asked for."""
    runners: list[web.AppRunner] = []

    async def start(content: bytes, etag: str) -> tuple[str, list[str | None]]:
        asked: list[str | None] = []

        async def answer(request: web.Request) -> web.Response:
            asked.append(request.headers.get("Range"))
            first = (request.http_range.start or 0) if request.headers.get("If-Range") == etag else 0
            part = {"Content-Range": f"bytes {first}-{len(content) - 1}/{len(content)}"} if first else {}
            return web.Response(status=206 if first else 200, headers={"ETag": etag} | part, body=content[first:])

        app = web.Application()
        app.router.add_get("/file", answer)
        runner = web.AppRunner(app)
        runners.append(runner)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return f"http://127.0.0.1:{runner.addresses[0][1]}/file", asked

    yield start
    for runner in runners:
        await runner.cleanup()


@attrs.define
class Services:
    """The services as the release left them: what they had of its jobs, and an emulator for all else."""

    clock: FakeClock
    calls: list[Call] = attrs.field(factory=list)
    emulators: dict[str, Emulator] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.emulators = {name: installed.load(name).call("emulate") for name in set(PROVIDERS.values())}

    async def send(self, call: Call, origin: Origin) -> Reply:
        """Answer one call."""
        self.calls.append(call)
        if said := SAID.get(call.path):
            return Reply.of(said["document"], status=said["status"])
        name = next(name for name in self.emulators if installed.load(name).provider.base_url == origin.base_url)
        sent = attrs.evolve(call, url=str(origin.resolve(call)), headers={**call.headers, **origin.headers})
        return self.emulators[name].answer(sent, self.clock.now().timestamp())

    async def aclose(self) -> None:
        """Do nothing."""

    @property
    def prompts(self) -> Counter[str]:
        """How often each prompt was sent."""
        return Counter(call.json["prompt"] for call in self.calls if call.method == "POST")


def a_client(path: Path, clock: FakeClock, **budgets: Budget) -> tuple[Client, Services]:
    """Return a client of the backends that the release had, and the services it talks to."""
    services = Services(clock)
    keys = {name: emulator.key for name, emulator in services.emulators.items()}
    backends = {
        name: BackendConfig(name=name, provider=provider, api_key=Secret(keys[provider]), budget=budgets.get(name, Budget()))
        for name, provider in PROVIDERS.items()
    }
    journal = InlineJournal(path, now=lambda: clock.now().timestamp(), monotonic=clock.monotonic)
    return Client(Config(backends=backends), journal=journal, clock=clock, transport=services), services  # type: ignore[arg-type]


def plain(value: Any) -> Any:
    """Return a value as the listings have it."""
    match value:
        case Enum():
            return value.value
        case Path():
            return {"path": str(value)}
        case datetime():
            return value.isoformat()
        case Mapping():
            return {name: plain(item) for name, item in value.items()}
        case list() | tuple():
            return [plain(item) for item in value]
    if attrs.has(type(value)):
        names = [field.name for field in attrs.fields(type(value))]
        return {"class": type(value).__name__} | {name: plain(getattr(value, name)) for name in names}
    return value


def known(value: Any, old: Any) -> Any:
    """Return of a value what a release knew that had no other fields than `old` has."""
    if isinstance(old, dict) and isinstance(value, dict):
        return {name: known(item, old.get(name)) for name, item in value.items() if name in old or "class" not in old}
    if isinstance(old, list) and isinstance(value, list) and len(old) == len(value):
        return [known(item, before) for item, before in zip(value, old, strict=True)]
    return value


def rows(path: Path) -> dict[str, int]:
    """Return how many rows each table has."""
    with closing(sqlite3.connect(path)) as db:
        return {name: db.execute(f"select count(*) from {name}").fetchone()[0] for name in TABLES}


def version(path: Path) -> int:
    """Return the version of a journal's schema."""
    with closing(sqlite3.connect(path)) as db:
        return int(db.execute("pragma user_version").fetchone()[0])


def held(job: Mapping[str, Any]) -> float:
    """Return what a job of the listing counts for: what it cost, or reserves."""
    cost = job["cost"]
    return float(job["quote"]["amount"] if cost is None or cost["amount"] is None else cost["amount"])


# The journal.


def test_the_old_journal_has_something_of_everything(journal_file: Path) -> None:
    """Or these tests would show little."""
    assert set(map(str, JobStatus)) == {job["status"] for job in LISTED}
    assert set(PROVIDERS.values()) == {job["provider"] for job in LISTED}
    assert {"ImageRequest", "VideoRequest"} == {job["request"]["class"] for job in LISTED}
    references = [reference["source"] for job in LISTED for reference in job["request"]["references"]]
    assert {dict, str} == {type(source) for source in references}
    assert any(job["request"]["options"] for job in LISTED)
    assert any(not job["request"]["prompt"].isascii() for job in LISTED)
    assert any(job["failure"] and job["failure"]["code"] for job in LISTED)
    assert 1 == version(journal_file) < VERSION
    assert all(rows(journal_file).values())


def test_the_steps_that_lead_to_the_tables_are_not_changed() -> None:
    """A journal that has taken one does not take it again: what is to be otherwise is a step of its own, with its digest here."""
    steps = [
        "2dd261d28294d0c9",
        "18882bc2dd33e21a",
        "1809156d6bf3811e",
        "2d4dfca45a887531",
        "250f0cb88fa9b382",
    ]
    assert steps == [sha256(step.encode()).hexdigest()[:16] for step in schema._STEPS]


async def test_every_old_job_reads_as_the_release_that_wrote_it_read_it(journal_file: Path) -> None:
    """Field for field, in the same order; what is new has its default."""
    jobs = [plain(job) for job in await jobs_in(journal_file)]
    assert LISTED == [known(job, old) for job, old in zip(jobs, LISTED, strict=True)]
    assert {None} == {job["save_to"] for job in jobs}


async def test_an_old_journal_that_was_brought_up_to_date_is_read_again(journal_file: Path) -> None:
    """The second time there is nothing to do."""
    before = await jobs_in(journal_file)
    assert VERSION == version(journal_file)
    assert before == await jobs_in(journal_file)


async def test_unfinished_old_jobs_are_driven_to_their_ends(journal_file: Path) -> None:
    """Those that were sent are asked for, and not sent again; those that were not are sent, once."""
    clock = FakeClock(started=LATER)
    client, services = a_client(journal_file, clock)
    async with client:
        await clock.run(client.resume())
        after = {job.request.prompt: job async for job in client.jobs()}
    assert Counter(UNSENT) == services.prompts
    for old in LISTED:
        prompt, status = old["request"]["prompt"], JobStatus(old["status"])
        assert expected_end(old) == after[prompt].status, prompt
        if status.terminal:
            assert old == known(plain(after[prompt]), old)


def expected_end(old: Mapping[str, Any]) -> JobStatus:
    """Return how a job of the listing has to end: what can be asked for was done by the service meanwhile."""
    status = JobStatus(old["status"])
    if status.terminal:
        return status
    doubtful = status in {JobStatus.SUBMITTING, JobStatus.UNKNOWN}
    return JobStatus.UNKNOWN if doubtful and old["provider"] != "meigen" else JobStatus.SUCCEEDED


async def test_old_jobs_of_a_driver_that_may_be_alive_are_left_to_it(journal_file: Path) -> None:
    """A process of the old release, on another machine, has given a sign of life a moment ago."""
    clock = FakeClock(started=LAST + timedelta(seconds=1))
    client, services = a_client(journal_file, clock)
    async with client:
        resumed = {handle.id for handle in await clock.run(client.resume(wait=False))}
    assert {job["id"] for job in LISTED if job["status"] == "unknown"} == resumed
    assert not services.prompts


async def test_what_old_jobs_cost_and_reserve_counts(journal_file: Path) -> None:
    """To one credit: those that ended for nothing are not counted, those in doubt are."""
    clock = FakeClock(started=LAST)
    client, services = a_client(journal_file, clock)
    async with client:
        quote = await client.quote(ImageRequest("one more"), backend="film")
    old = sum(held(job) for job in LISTED if job["backend"] == "film")
    assert quote.amount
    for short in (True, False):
        client, services = a_client(journal_file, clock, film=Budget(per_day=old + quote.amount - short))
        async with client:
            work = client.submit(ImageRequest("one more"), backend="film")
            if short:
                with pytest.raises(BudgetError):
                    await clock.run(work)
            else:
                await clock.run(work)
        assert Counter(() if short else ["one more"]) == services.prompts


async def test_old_jobs_that_were_made_for_nothing_count_as_jobs(journal_file: Path) -> None:
    """The old release let go of them."""
    journal = InlineJournal(Path(shutil.copy(journal_file, journal_file.with_name("copy.db"))))
    await journal.open()
    before = await journal.usage("film")
    await journal.aclose()
    with closing(sqlite3.connect(journal_file)) as db, db:
        db.execute("update jobs set held = 0 where status = 'succeeded'")
    journal = InlineJournal(journal_file)
    await journal.open()
    assert before == await journal.usage("film")
    await journal.aclose()


async def test_old_submits_count_for_limits(journal_file: Path) -> None:
    """The last minute's, whichever release sent them."""
    with closing(sqlite3.connect(journal_file)) as db:
        (last,) = db.execute("select max(at) from submits where backend = 'slow'").fetchone()
    job = next(job for job in await jobs_in(journal_file) if job.backend == "slow" and job.status is JobStatus.PENDING)
    now = [last + 3600.0]
    journal = InlineJournal(journal_file, now=lambda: now[0])
    await journal.open()
    lease = await journal.acquire(job.id)
    assert lease is not None
    now[0] = last + 20.0
    rule = Rule(limits=Limits(submits=1))
    waited = await journal.begin_submit(lease, [rule])
    await journal.aclose()
    assert isinstance(waited, Wait)
    assert pytest.approx(40.0) == waited.seconds


# Bringing it up to date.


async def test_a_hundred_openings_at_once_bring_an_old_journal_up_to_date_once(journal_file: Path) -> None:
    """Every one of them reads all jobs."""
    before = rows(journal_file)["jobs"]
    found = await asyncio.gather(*(jobs_in(journal_file) for _ in range(100)))
    assert {before} == {len(jobs) for jobs in found}
    assert VERSION == version(journal_file)


def test_processes_that_open_an_old_journal_at_the_same_moment_bring_it_up_to_date_once(journal_file: Path) -> None:
    """None fails, and none misses a job."""
    context = multiprocessing.get_context("spawn")
    gate, counts = context.Barrier(4), context.Queue()
    processes = [context.Process(target=open_and_count, args=(str(journal_file), gate, counts)) for _ in range(4)]
    for process in processes:
        process.start()
    found = [counts.get(timeout=60) for _ in processes]
    for process in processes:
        process.join()
    assert [len(LISTED)] * 4 == found
    assert [0] * 4 == [process.exitcode for process in processes]
    assert VERSION == version(journal_file)


def test_a_process_killed_while_it_brings_an_old_journal_up_to_date_loses_nothing(journal_file: Path, tmp_path: Path) -> None:
    """At each statement in turn: the next to open it finds either the old tables or the new ones, with every row."""
    old, folder = rows(journal_file), tmp_path / "killed"
    folder.mkdir()
    process = multiprocessing.get_context("spawn").Process(target=die_at_each_statement, args=(str(journal_file), str(folder)))
    process.start()
    process.join()
    assert 0 == process.exitcode
    paths = sorted(folder.glob("*.db"), key=lambda path: int(path.stem))
    versions = [version(path) for path in paths]
    assert ({1, VERSION}, sorted(versions)) == (set(versions), versions)
    assert 1 < versions.count(1)
    for path in paths:
        assert [old[name] for name in KEPT] == [rows(path)[name] for name in KEPT], path.name
        jobs = [plain(job) for job in asyncio.run(jobs_in(path))]
        assert LISTED == [known(job, old) for job, old in zip(jobs, LISTED, strict=True)], path.name


@pytest.mark.parametrize("jobs", [200_000, 199_999])
async def test_that_a_large_journal_is_brought_up_to_date_is_told(
    journal_file: Path, caplog: pytest.LogCaptureFixture, jobs: int
) -> None:
    """As it takes a moment; of a small one nobody hears."""
    with closing(sqlite3.connect(journal_file)) as db, db:
        db.execute("update jobs set rowid = ? where rowid = (select max(rowid) from jobs)", (jobs,))
    await jobs_in(journal_file)
    await jobs_in(journal_file)
    told = [record.getMessage() for record in caplog.records if "brought up to date" in record.getMessage()]
    assert jobs // 200_000 == len(told)


async def test_a_journal_of_a_newer_release_is_refused_and_left_as_it_is(journal_file: Path) -> None:
    """In one sentence, which says what to do; not a byte of it is changed."""
    await jobs_in(journal_file)
    with closing(sqlite3.connect(journal_file)) as db:
        db.execute(f"pragma user_version = {VERSION + 1}")
        db.commit()
    before = {path.name: path.read_bytes() for path in journal_file.parent.iterdir()}
    with pytest.raises(JournalError, match=rf"its version is {VERSION + 1}, this one reads {VERSION}\); upgrade genbridge"):
        await jobs_in(journal_file)
    assert before == {path.name: path.read_bytes() for path in journal_file.parent.iterdir()}


# Files.


async def the_result(path: Path, url: str) -> Result:
    """Return the result whose files the release saved; they are to be fetched from a URL now."""
    sidecar = json.loads(next((FIXTURES / f"saved-{RELEASE}").glob("*.json")).read_text())
    result = next(job.result for job in await jobs_in(path) if job.id == sidecar["job_id"])
    assert result is not None
    return attrs.evolve(result, assets=tuple(attrs.evolve(asset, url=url) for asset in result.assets))


def first_of(result: Result) -> Result:
    """Return a result as if only its first file had been made."""
    return attrs.evolve(result, assets=result.assets[:1])


def copied(name: str, folder: Path) -> Path:
    """Return a copy of a folder that the release left."""
    return Path(shutil.copytree(FIXTURES / f"{name}-{RELEASE}", folder / name))


async def no_sleep(_: float) -> None:
    """Do not sleep."""


async def test_files_that_an_old_release_saved_are_not_fetched_again(journal_file: Path, tmp_path: Path, serve: Serve) -> None:
    """They are found by their sidecars."""
    url, asked = await serve(b"nothing", '"x"')
    folder = copied("saved", tmp_path)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    paths = await download(await the_result(journal_file, url), folder, sleep=no_sleep)
    assert sorted(name for name in before if name.endswith(".png")) == [path.name for path in paths]
    assert before == {path.name: path.read_bytes() for path in folder.iterdir()}
    assert not asked


async def test_a_file_that_was_changed_since_an_old_release_saved_it_is_noticed(
    journal_file: Path, tmp_path: Path, serve: Serve
) -> None:
    """It is fetched anew under a name beside it; what somebody made of the old one stays."""
    folder = copied("saved", tmp_path)
    old = min(folder.glob("*.png"))
    whole = old.read_bytes()
    changed = whole[:-1] + b"!"
    old.write_bytes(changed)
    url, asked = await serve(whole, '"x"')
    (path,) = await download(first_of(await the_result(journal_file, url)), folder, sleep=no_sleep)
    assert old != path
    assert (whole, changed) == (path.read_bytes(), old.read_bytes())
    assert [None] == asked


async def test_a_file_that_an_old_release_was_fetching_is_gone_on_with(journal_file: Path, tmp_path: Path, serve: Serve) -> None:
    """From the byte at which the process was killed."""
    folder, whole = copied("partial", tmp_path), min((FIXTURES / f"saved-{RELEASE}").glob("*.png"))
    part, record = sorted(path for path in folder.iterdir() if "-1." in path.name)
    assert whole.read_bytes()[: part.stat().st_size] == part.read_bytes()
    url, asked = await serve(whole.read_bytes(), json.loads(record.read_text())["validator"])
    size = part.stat().st_size
    (path,) = await download(first_of(await the_result(journal_file, url)), folder, sleep=no_sleep)
    assert [f"bytes={size}-"] == asked
    assert (whole.name, whole.read_bytes()) == (path.name, path.read_bytes())
    assert not part.exists()
    assert not record.exists()


async def test_a_file_that_was_changed_at_the_service_since_is_fetched_from_its_start(
    journal_file: Path, tmp_path: Path, serve: Serve
) -> None:
    """What an old release had of another version of it is no part of this one."""
    folder, another = copied("partial", tmp_path), sorted((FIXTURES / f"saved-{RELEASE}").glob("*.png"))[1]
    url, asked = await serve(another.read_bytes(), '"another version"')
    (path,) = await download(first_of(await the_result(journal_file, url)), folder, sleep=no_sleep)
    assert another.read_bytes() == path.read_bytes()
    assert ["bytes=1500-"] == asked


async def test_the_sidecar_says_what_it_said(journal_file: Path, tmp_path: Path, serve: Serve) -> None:
    """All that the old one had, by the same names and in the same forms; but for who wrote it, and from where the file came."""
    whole = min((FIXTURES / f"saved-{RELEASE}").glob("*.png"))
    url, _ = await serve(whole.read_bytes(), '"x"')
    (path,) = await download(first_of(await the_result(journal_file, url)), tmp_path / "new", sleep=no_sleep)
    old, new = (json.loads(each.with_name(f"{each.name}.json").read_text()) for each in (whole, path))
    aside = {"genbridge", "url"}
    assert {name: value for name, value in old.items() if name not in aside} == {name: new[name] for name in old.keys() - aside}
    assert aside <= new.keys()


async def test_a_pause_that_the_first_release_was_told_of_is_kept(tmp_path: Path) -> None:
    """Until the same moment, as far as it is not more than two minutes away."""
    path = tmp_path / "jobs.db"
    shutil.copy(FIXTURES / "journal-0.1.0.db", path)
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("delete from pauses")
        db.execute("insert into pauses values ('studio', 1060.0), ('spare', 990.0)")
    journal = SqliteJournal(path, now=lambda: 1000.0, inline=True)
    await journal.open()
    assert {"studio": 60.0} == await journal.pauses(Paused.SUBMITS)
    await journal.aclose()
