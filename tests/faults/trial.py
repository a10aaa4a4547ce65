"""One scenario at one service: a real client over real sockets, and what is on record and on disk afterwards."""

from __future__ import annotations

import asyncio
import struct
import zlib
from collections.abc import Iterator
from contextlib import suppress
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from types import ModuleType

import attrs
from scenarios import REFUSED, RIGHT, Column, Scenario, cell
from script import Step
from service import Arrival, Report, Service, Stand

from genbridge import Client, DownloadError, GenbridgeError, ImageRequest, Job, Reference, Result
from genbridge.config import BackendConfig, Config, JournalConfig, PollConfig, Secret
from genbridge.downloads import DownloadPolicy, download
from genbridge.transport import Transport

SUBMIT_SECONDS = 3.0
_CALL_SECONDS = 3.0
_JOB_SECONDS = 60.0
_AGAIN_SECONDS = 2.0
_INTERVAL = 0.1
_POLICY = DownloadPolicy(stall=2.0)
_JOB = "1"


@attrs.frozen(kw_only=True)
class Outcome:
    """What came of one trial: as the table says it, and whatever must not be (`wrong`)."""

    scenario: Scenario
    column: Column
    cell: str
    posts: int = 0
    wrong: tuple[str, ...] = ()

    @property
    def holds(self) -> bool:
        """Whether it is as it must be."""
        return not self.wrong and self.cell == self.scenario.expect.cell(self.column)


async def attempt(service: Service, scenario: Scenario, column: Column, folder: Path, providers: dict[str, ModuleType]) -> Outcome:
    """Run a scenario at a service, in a new folder of its own."""
    await asyncio.to_thread(folder.mkdir)
    stand = service.stand(column.provider, script=scenario.script(column), pace=scenario.pace, door=scenario.door)
    trial = _Trial(scenario, column, stand, folder, providers)
    try:
        file = await trial.run()
        job = await trial.again()
    except Exception as error:  # noqa: BLE001 (a trial that breaks is a row that does not hold)
        return Outcome(scenario=scenario, column=column, cell="broken", wrong=(f"it broke: {error!r}",))
    report = stand.report()
    posts = report.posts.total()
    # The canary's paths begin with the stand's number.
    strayed = [seen for seen in service.canary() if seen.path.startswith(f"/{stand.number}/")]
    return Outcome(
        scenario=scenario,
        column=column,
        cell=cell(posts, job.status, file and trial.kept(file, report)),
        posts=posts,
        wrong=(*_wrong(scenario, report), *trial.complaints, *_told(strayed, scenario), *_leaked(folder, stand.key)),
    )


def _wrong(scenario: Scenario, report: Report) -> Iterator[str]:
    """Name what may be in no trial at all."""
    if report.twice:
        yield f"the service made it {len(report.accepted)} times"
    times = [arrival.at for arrival in report.at(scenario.step)]
    pauses = [later - earlier for earlier, later in pairwise(times)]
    if scenario.expect.pause and not (pauses and pauses[0] >= scenario.expect.pause):
        yield f"it asked again after {pauses[:1]} s, sooner than {scenario.expect.pause:g} s"
    if any(arrival.keyed for arrival in report.at(Step.FILE)):
        yield "the key was sent for a file"


def _leaked(folder: Path, key: str) -> Iterator[str]:
    """Name where the key stands in what a trial left: its journal, its files and their sidecars."""
    from hunt import hunt  # of the tests' fakes, which whoever runs the trials has put on the path

    return (f"the key is in {place}" for place in hunt(folder, key))


def _told(strayed: list[Arrival], scenario: Scenario) -> Iterator[str]:
    """Name what reached the other origin to which a redirect leads: the key never may, and only a file may be asked for there."""
    if any(seen.keyed for seen in strayed):
        yield "the key went to another origin"
    if strayed and scenario.step is not Step.FILE:
        yield "a redirect was followed"


@attrs.define(eq=False)
class _Trial:
    """A scenario at a service, with its client's state."""

    scenario: Scenario
    column: Column
    stand: Stand
    folder: Path
    providers: dict[str, ModuleType]
    complaints: list[str] = attrs.field(factory=list)

    def client(self) -> Client:
        """Return a client, as a process of its own would have one."""
        backend = BackendConfig(
            name="main",
            provider=self.column.provider,
            api_key=Secret(self.stand.key),
            base_url=self.stand.base_url,
            submit_timeout=SUBMIT_SECONDS,
            poll=PollConfig(interval=_INTERVAL),
        )
        config = Config(backends={"main": backend}, journal=JournalConfig(path=self.folder / "jobs.db"))
        transport = Transport(submit_timeout=SUBMIT_SECONDS, timeout=_CALL_SECONDS)
        return Client(config, providers=self.providers, transport=transport)

    def request(self) -> ImageRequest:
        """Return what is asked for; it names its logical job."""
        uploads = self.scenario.step in {Step.UPLOAD, Step.STORE}
        references = (Reference(self._picture()),) if uploads else ()
        return ImageRequest(f"a fox [job {_JOB}]", references=references, **self.column.fields)

    def _picture(self) -> Path:
        path = self.folder / "reference.png"
        rows = (b"\0" + bytes(64)) * 64
        chunks = ((b"IHDR", struct.pack(">IIBBBBB", 64, 64, 8, 0, 0, 0, 0)), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
        written = (struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks)
        path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(written))
        return path

    async def run(self) -> str | None:
        """Submit, follow and fetch; return what came of the file where that is what the scenario is about."""
        async with self.client() as client:
            try:
                handle = await client.submit(self.request())
                if self.scenario.step is Step.CANCEL:
                    with suppress(GenbridgeError):
                        await handle.cancel()
                result = await handle.result(timeout=_JOB_SECONDS)
            except GenbridgeError:
                return None
        return await self._fetch(result) if self.scenario.step is Step.FILE else None

    async def _fetch(self, result: Result) -> str:
        """Download; a file that was refused is there at the next try, as nothing goes wrong with that."""
        try:
            await download(result, self.folder / "out", policy=_POLICY)
        except DownloadError:
            if self._files():
                self.complaints.append(f"the file was refused, and {self._files()} is there")
        else:
            return RIGHT
        with suppress(DownloadError):
            await download(result, self.folder / "out", policy=_POLICY)
            return REFUSED
        return "refused, also when asked for again"

    def kept(self, said: str, report: Report) -> str:
        """Return what came of the file; it is wrong unless the service has, or had, just that."""
        versions = {digest for digests in report.files.values() for digest in digests}
        digests = [sha256(path.read_bytes()).hexdigest() for path in self._files()]
        return said if len(digests) == 1 and set(digests) <= versions else "wrong"

    def _files(self) -> list[Path]:
        found = (self.folder / "out").glob("*")
        return [path for path in found if path.suffix != ".json" and not path.name.startswith(".")]

    async def again(self) -> Job:
        """Open the journal as a later process does, pick up what is unfinished, and return what is on record."""
        before = self.stand.report().posts.total()
        async with self.client() as client:
            with suppress(TimeoutError):
                async with asyncio.timeout(_AGAIN_SECONDS):
                    await client.resume()
            jobs = [job async for job in client.jobs()]
        if len(jobs) != 1:
            raise AssertionError(f"{len(jobs)} jobs are on record")
        if self.stand.report().posts.total() != before:
            self.complaints.append("it was sent again by a later process")
        return jobs[0]
