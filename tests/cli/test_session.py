"""What one run of the command line knows."""

from __future__ import annotations

import asyncio
import signal
import stat
import sys
from pathlib import Path
from typing import Any

import pytest

import genbridge
from genbridge.cli.running import do
from genbridge.cli.session import Session, connect
from genbridge.config import state_dir
from genbridge.databases import DatabaseUrl
from genbridge.errors import ConfigError, GenbridgeError
from genbridge.places import place_in
from genbridge.types import JobStatus


def test_the_sandbox_keeps_its_jobs_where_the_environment_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Else in the user's own directory."""
    monkeypatch.delenv("GENBRIDGE_STATE_DIR", raising=False)
    own = state_dir()
    monkeypatch.setenv("GENBRIDGE_STATE_DIR", str(tmp_path))

    assert "genbridge" == own.name
    assert tmp_path == state_dir()


@pytest.mark.parametrize(
    ("session", "expected"),
    [
        (Session(), "genbridge jobs wait 1"),
        (Session(sandbox=True), "genbridge --sandbox jobs wait 1"),
        (
            Session(config=Path("my file.toml"), journal=Path("j.db")),
            "genbridge --config 'my file.toml' --journal j.db jobs wait 1",
        ),
    ],
)
def test_a_proposed_command_reaches_the_same_jobs(session: Session, expected: str) -> None:
    """It can be pasted into a shell."""
    assert expected == session.command("jobs", "wait", "1")


async def test_a_run_opens_the_configured_client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the file and the record that were named."""
    file, journal = tmp_path / "genbridge.toml", tmp_path / "my.db"
    file.write_text('[backends.studio]\nprovider = "imini"\n[journal]\npath = ":memory:"\n')

    async with connect(Session(config=file)) as client:
        assert file == client.config.source
    async with connect(Session(config=file, journal=journal)) as client:
        assert [] == [job async for job in client.jobs()]

    assert journal.exists()
    assert isinstance(client, genbridge.Client)


def test_a_state_folder_that_cannot_be_made_is_a_matter_of_the_configuration(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The message says which it is, and what to set."""
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("GENBRIDGE_STATE_DIR", str(tmp_path / "file" / "state"))

    with pytest.raises(ConfigError, match=r"file/state' for the record of jobs cannot be made: .*; set GENBRIDGE_STATE_DIR"):
        connect(Session(sandbox=True))


def test_a_state_folder_is_the_users_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Whoever makes it first: the record of jobs is in it too."""
    monkeypatch.setenv("GENBRIDGE_STATE_DIR", str(tmp_path / "state"))

    connect(Session(sandbox=True))

    assert 0o700 == stat.S_IMODE((tmp_path / "state").stat().st_mode)


def test_the_advice_of_an_error_reaches_the_jobs_of_the_run() -> None:
    """What the library says knows nothing of the options; said twice, it is said once."""
    error = Session(sandbox=True).addressed(GenbridgeError("look with `genbridge jobs list`"))

    assert "look with `genbridge --sandbox jobs list`" == str(Session(sandbox=True).addressed(error))


@pytest.mark.parametrize(
    ("submitting", "expected"),
    [(set(), ""), ({"job1"}, "interrupted; waiting a few seconds for the answer to what was being sent\n")],
)
async def test_an_interrupted_submit_says_that_its_answer_is_waited_for(
    client: Any, capsys: pytest.CaptureFixture[str], submitting: set[str], expected: str
) -> None:
    """Nothing else is waited for."""
    session = Session(connect=lambda _session: client, submitting=submitting)
    running = asyncio.create_task(do(session, session.connect, lambda _client: asyncio.Event().wait()))
    await asyncio.sleep(0)
    running.cancel()

    with pytest.raises(asyncio.CancelledError):
        await running

    assert expected == capsys.readouterr().err


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such signals")
@pytest.mark.parametrize("sent", ["SIGTERM", "SIGHUP"])
def test_what_ends_a_program_from_outside_ends_it_as_an_interrupt_does(client: Any, sent: str) -> None:
    """Closing is not hurried past the answer to a request, and the code is that of an interrupt."""
    ended: list[str] = []

    async def work(_client: Any) -> None:
        signal.raise_signal(getattr(signal, sent))
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(sent)

    with pytest.raises(KeyboardInterrupt):
        Session(connect=lambda _session: client).run(work)
    assert [sent] == ended


def test_what_is_told_of_a_job_that_was_left_to_workers_changes_nothing() -> None:
    """While the client closes it may still be seen to wait, and it was said already that it goes on."""
    session = Session(waiting={"job1", "job2"}, submitting={"job3", "job4"})
    session.leave({"job2", "job4"})
    session.observe("job1", JobStatus.PENDING)
    session.observe("job3", JobStatus.SUBMITTING)
    assert ({"job2"}, {"job4"}) == (session.waiting, session.submitting)


def test_a_database_is_named_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    """By where its URL is written, or else as it is shown."""
    url = "postgresql://me:hunter2@db/jobs"
    monkeypatch.setenv("JOBS_DB", url)
    named = [Session(journal=place_in(text)).command("jobs", "list") for text in ("env:JOBS_DB", url)]
    assert ["genbridge --journal env:JOBS_DB jobs list", "genbridge --journal 'postgresql://me:***@db/jobs' jobs list"] == named


async def test_a_run_with_a_database_is_one_that_workers_drive_for(database: str, tmp_path: Path) -> None:
    """Unless the configuration says that each process drives its own."""
    file = tmp_path / "genbridge.toml"
    file.write_text('[backends.studio]\nprovider = "imini"\n')
    url = DatabaseUrl.parse(database)
    async with connect(Session(config=file, journal=url)) as client:
        assert client.watches
        assert [] == [job async for job in client.jobs()]
    file.write_text(f'[backends.studio]\nprovider = "imini"\n[journal]\npath = "{database}"\nengine = "in-process"\n')
    async with connect(Session(config=file)) as client:
        assert not client.watches


def test_the_sandbox_puts_no_jobs_into_a_database(cli: Any) -> None:
    """A worker would send them to the services themselves, and they would be paid for."""
    run = cli("generate", "kite", "--sandbox", "--journal", "postgresql://me:hunter2@db/jobs", connect=connect)
    assert (3, "") == (run.exit_code, run.stdout)
    assert "as workers of postgresql://me:***@db/jobs might send its jobs; leave --journal out" in run.stderr


@pytest.mark.parametrize("words", [["--journal", "{}", "jobs", "list"], ["jobs", "list", "--journal", "{}"]])
@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("env:NONE", "nobody knows where the record of jobs is: set the environment variable NONE"),
        ("mysql://me:hunter2@db/jobs", "mysql:// is no journal that is installed"),
        ("postgresql://me:hunter2@db:x/jobs", "its host or port cannot be one"),
        (".", "'.' is a folder; give the path of a file in it"),
    ],
)
def test_what_cannot_be_a_record_is_wrong_usage(cli: Any, words: list[str], given: str, expected: str) -> None:
    """And no password is repeated."""
    run = cli(*(word.format(given) for word in words))
    assert (2, "") == (run.exit_code, run.stdout)
    assert "Invalid value for '--journal': " in run.stderr
    assert expected in run.stderr
    assert "hunter2" not in run.stderr
