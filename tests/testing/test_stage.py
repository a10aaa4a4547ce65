"""The stage: a plugin and an emulator in memory, and time that is set by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
import genbridge_sseedance as sseedance
import pytest

from genbridge import (
    AuthenticationError,
    Backend,
    Call,
    Capabilities,
    Exchange,
    File,
    ImageRequest,
    Job,
    JobStatus,
    Media,
    Model,
    PluginError,
    Provider,
    Reference,
    ReferenceRole,
    ReferenceRule,
    Reply,
    Request,
    RequestError,
    Snapshot,
    hookimpl,
)
from genbridge.testing import Stage, drive


@attrs.define
class Echo:
    """A service that keeps the last call it got."""

    key: str = "echo-key"
    last: Call | None = None

    def answer(self, call: Call, now: float) -> Reply:
        """Keep a call."""
        self.last = call
        return Reply.of({"at": now})


class Plugin:
    """A provider that uploads its references, and whose submit takes two calls."""

    @hookimpl
    def describe(self) -> Provider:
        """Return the facts."""
        rule = ReferenceRule(role=ReferenceRole.ASSET, most=2)
        model = Model(id="m", provider_id="m-1", media=Media.IMAGE, capabilities=Capabilities(references=(rule,)))
        return Provider(
            name="echo",
            base_url="https://echo.example/api",
            key_variable="ECHO",
            auth_header="X-Key",
            auth_prefix="",
            models=(model,),
        )

    @hookimpl
    def submit(self, backend: Backend, request: Request, key: str | None) -> Exchange[Reply]:
        """Prepare, then submit."""
        yield Call.post("https://files.example/prepare")
        return (
            yield Call.post("/jobs", json={"sources": tuple(str(reference.source) for reference in request.references), "key": key})
        )

    @hookimpl
    def poll(self, job: Job) -> Call:
        """Ask."""
        return Call.get("/jobs")

    @hookimpl
    def normalize(self, reply: Reply) -> Snapshot:
        """Be done after three seconds."""
        done = (reply.fields().number("at") or 0) > 3
        return Snapshot(status=JobStatus.FAILED if done else JobStatus.QUEUED, provider_id="j1")

    @hookimpl
    def upload(self, file: File) -> Any:
        """Return a URL at once."""
        return f"https://files.example/{file.name}?{file.model}"


def test_a_request_is_driven_to_its_end() -> None:
    """The snapshots are those of the submit and of each poll, with the time in between set and not waited for."""
    snapshots = drive(sseedance, None, ImageRequest("a cat"))
    assert [JobStatus.QUEUED, JobStatus.SUCCEEDED] == [snapshot.status for snapshot in snapshots]
    assert "https://sseedance.com/files/task_000001-1.png" == snapshots[-1].assets[0].url


def test_an_emulator_can_be_given() -> None:
    """Its states are seen at the provider's interval."""
    emulator = sseedance.emulate()
    emulator.queued, emulator.runs = 4.0, 4.0  # type: ignore[attr-defined]
    snapshots = drive(sseedance, emulator, ImageRequest("a cat [fail]"))
    expected = [JobStatus.QUEUED, JobStatus.QUEUED, JobStatus.RUNNING, JobStatus.FAILED]
    assert expected == [snapshot.status for snapshot in snapshots]


def test_an_error_comes_out_as_it_is() -> None:
    """A wrong key is refused, and an unknown model found before anything is sent."""
    with pytest.raises(AuthenticationError):
        drive(sseedance, None, ImageRequest("a cat"), api_key="wrong")
    with pytest.raises(RequestError):
        drive(sseedance, None, ImageRequest("a cat", model="gpt-9"))


def test_a_job_that_ended_at_once_is_not_polled() -> None:
    """There is one snapshot."""

    class Quick(Plugin):
        @hookimpl
        def normalize(self, reply: Reply) -> Snapshot:
            return Snapshot(status=JobStatus.CANCELLED, provider_id="j1")

    assert [JobStatus.CANCELLED] == [snapshot.status for snapshot in drive(Quick(), Echo(), ImageRequest("a cat"))]


def test_a_job_that_never_ends_is_an_error() -> None:
    """The last that was seen is told."""

    class Endless(Plugin):
        @hookimpl
        def normalize(self, reply: Reply) -> Snapshot:
            return Snapshot(status=JobStatus.RUNNING, provider_id="j1")

    with pytest.raises(AssertionError, match="after 1000 polls the job has not ended on 'echo'"):
        drive(Endless(), Echo(), ImageRequest("a cat"))


def test_an_exchange_that_never_ends_is_an_error() -> None:
    """A plugin cannot hold a test up."""

    class Endless(Plugin):
        @hookimpl
        def submit(self, backend: Backend, request: Request, key: str | None) -> Exchange[Reply]:
            while True:
                yield Call.get("/again")

    with pytest.raises(PluginError, match="made 100 calls and did not end"):
        drive(Endless(), Echo(), ImageRequest("a cat"))


def test_an_exchange_may_end_with_a_call() -> None:
    """It is made, as the core makes it, and its reply is the exchange's."""

    class Ending(Plugin):
        @hookimpl
        def submit(self, backend: Backend, request: Request, key: str | None) -> Exchange[Any]:
            yield Call.get("/prepare")
            return Call.post("/jobs", json={"key": key})

    stage = Stage.of(Ending(), Echo())
    job, _ = stage.submit(ImageRequest("a cat"))
    assert ("j1", ["GET /api/prepare", "POST /api/jobs"]) == (
        job.provider_id,
        [f"{call.method} {call.path}" for call in stage.calls],
    )


def test_an_exchange_may_read_its_reply_itself() -> None:
    """What it returns is the snapshot then."""

    class Reading(Plugin):
        @hookimpl
        def submit(self, backend: Backend, request: Request, key: str | None) -> Exchange[Any]:
            yield Call.post("/jobs")
            return Snapshot(status=JobStatus.RUNNING, provider_id="own")

    _, snapshot = Stage.of(Reading(), Echo()).submit(ImageRequest("a cat"))
    assert (JobStatus.RUNNING, "own") == (snapshot.status, snapshot.provider_id)


def test_an_exchange_that_ends_with_something_else_is_an_error() -> None:
    """In the words of the core."""

    class Odd(Plugin):
        @hookimpl
        def submit(self, backend: Backend, request: Request, key: str | None) -> Exchange[Any]:
            reply = yield Call.post("/jobs")
            return reply.json()

    with pytest.raises(PluginError, match="the exchange of its hook 'submit' returned dict, not a Reply"):
        drive(Odd(), Echo(), ImageRequest("a cat"))


def test_the_key_goes_to_the_own_origin_only() -> None:
    """It is sent in the provider's own way, and not to another host."""
    stage = Stage.of(Plugin(), Echo())
    stage.submit(ImageRequest("a cat"))
    assert [("https://files.example/prepare", None), ("https://echo.example/api/jobs", "echo-key")] == [
        (call.url, call.headers.get("x-key")) for call in stage.calls
    ]
    assert "echo-key" not in repr(stage)


def test_a_call_arrives_as_json_would_carry_it() -> None:
    """A tuple is a list by then."""
    stage = Stage.of(Plugin(), emulator := Echo())
    stage.submit(ImageRequest("a cat", references=(Reference("https://files.example/a.png"),)), key="k-1")
    assert emulator.last
    assert {"sources": ["https://files.example/a.png"], "key": "k-1"} == emulator.last.json


def test_a_local_reference_is_uploaded_first(tmp_path: Path) -> None:
    """The file goes through the plugin's hook, and the URL into the submit."""
    path = tmp_path / "a.png"
    path.write_bytes(b"a picture")
    stage = Stage.of(Plugin(), emulator := Echo())
    stage.submit(ImageRequest("a cat", references=(Reference(path),)))
    assert emulator.last
    assert ["https://files.example/a.png?m-1"] == emulator.last.json["sources"]


def test_a_job_is_accepted_under_the_providers_id() -> None:
    """What `submit` returns can be polled."""
    stage = Stage.of(Plugin(), Echo())
    job, snapshot = stage.submit(ImageRequest("a cat"))
    assert ("j1", JobStatus.QUEUED, "m-1") == (job.provider_id, job.status, job.provider_model)
    stage.now = 4.0
    assert (JobStatus.QUEUED, JobStatus.FAILED) == (snapshot.status, stage.poll(job).status)


def test_without_an_emulator_there_is_no_stage() -> None:
    """The error says what to do."""
    with pytest.raises(PluginError, match="provider 'echo' has no emulator; give one, or write its hook `emulate`"):
        Stage.of(Plugin())
