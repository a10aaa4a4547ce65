"""`genbridge jobs`."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import attrs
import pytest

from genbridge.cli.jobs import brief
from genbridge.cli.times import age
from genbridge.errors import CancelUnsupportedError, JobFailedError
from genbridge.types import Certainty, Cost, Failure, ImageRequest, Job, JobStatus, Quote, VideoRequest

Cli = Callable[..., Any]


@pytest.fixture(autouse=True)
def record(client: Any, make_job: Callable[..., Job], finish: Callable[[Job], Job]) -> dict[str, Job]:
    """Record a finished image, a running video, and one that nobody knows of."""
    jobs = (
        finish(make_job(id="done", request=ImageRequest("a red kite"))),
        make_job(VideoRequest("a long\nprompt " + "x" * 100), id="film", status=JobStatus.RUNNING),
        make_job(id="lost", status=JobStatus.UNKNOWN, provider="studio", provider_model="painter-1"),
    )
    client.record.update({job.id: job for job in jobs})
    return dict(client.record)


def test_jobs_are_listed_newest_first(cli: Cli) -> None:
    """A row each, with the id whole, so that it can be used."""
    run = cli("jobs", "list")

    header, lost, film, done = run.stdout.splitlines()
    assert ["ID", "AGE", "STATUS", "MODEL", "BACKEND", "COST", "PROMPT"] == header.split()
    assert ["lost", "film", "done"] == [row.split()[0] for row in (lost, film, done)]
    assert film.endswith("a long prompt " + "x" * 33 + "…")
    assert "succeeded  painter-1  studio   5 credits  a red kite" in done


@pytest.mark.parametrize(
    ("seconds", "expected"), [(-5, "0s"), (59.9, "59s"), (60, "1m"), (3599, "59m"), (7200, "2h"), (86_400 * 400, "400d")]
)
def test_an_age_is_told_in_its_largest_unit(seconds: float, expected: str) -> None:
    """A clock that was set back makes nothing older than now."""
    now = datetime(2026, 8, 1, tzinfo=UTC)

    assert expected == age(now - timedelta(seconds=seconds), now)


def test_a_cost_that_is_not_known_is_not_listed_as_nothing(cli: Cli, client: Any, make_job: Callable[..., Job]) -> None:
    """And an estimate is marked."""
    client.record.clear()
    client.record["a"] = make_job(id="a", quote=Quote(amount=None))
    client.record["b"] = make_job(id="b", quote=Quote(amount=7, certainty=Certainty.ESTIMATED))

    assert ["~7 credits", "?"] == [
        row.split("studio")[1].partition("a red")[0].strip() for row in cli("jobs", "list").stdout.splitlines()[1:]
    ]


def test_a_terminal_shows_the_beginning_of_an_id(
    cli: Cli, client: Any, make_job: Callable[..., Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which is enough to name a job, and leaves room."""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    client.record["0123456789abcdef"] = make_job(id="0123456789abcdef")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stdout", Terminal())
    stream = sys.stdout
    cli("jobs", "list")

    assert "01234567  " in stream.getvalue()  # type: ignore[attr-defined]


def test_the_list_can_be_narrowed(cli: Cli, client: Any) -> None:
    """By status, backend and number."""
    cli("jobs", "list", "--status", "unknown", "-b", "studio", "-n", "3")

    assert ("jobs", JobStatus.UNKNOWN, "studio", 4) in client.asked


def test_a_list_that_is_cut_says_so(cli: Cli) -> None:
    """On stderr; one that is whole says nothing."""
    cut, whole = cli("jobs", "list", "-n", "2", "--json"), cli("jobs", "list", "-n", "3")

    assert (["lost", "film"], "the newest 2 of more; -n shows more\n") == (
        [job["id"] for job in json.loads(cut.stdout)["jobs"]],
        cut.stderr,
    )
    assert "" == whole.stderr


def test_a_status_that_does_not_exist_is_wrong_usage(cli: Cli) -> None:
    """The message has those that do."""
    run = cli("jobs", "list", "--status", "dead")

    assert 2 == run.exit_code
    assert "succeeded" in run.stderr


@pytest.mark.parametrize(
    ("words", "expected"), [([], "no job is on record\n"), (["--status", "failed"], "no such job is on record\n")]
)
def test_an_empty_list_says_so(cli: Cli, client: Any, words: list[str], expected: str) -> None:
    """On stderr, as it is no result."""
    client.record.clear()

    run = cli("jobs", "list", *words)

    assert (0, "", expected) == (run.exit_code, run.stdout, run.stderr)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("jobs list -b studoi", "no backend 'studoi' is configured or on record; did you mean 'studio'?"),
        ("jobs list -b nope", "no backend 'nope' is configured or on record; there are spare, studio"),
        ("jobs list -b nope --sandbox", "no backend 'nope' is configured or on record; there are imini, meigen, sseedance, studio"),
    ],
)
def test_a_list_of_a_backend_that_nobody_knows_is_a_mistake(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, words: str, expected: str
) -> None:
    """The message has those that are on record or configured."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "genbridge.toml").write_text('[backends.spare]\nprovider = "imini"\n')

    run = cli(*words.split())

    assert (3, "", f"error: {expected}\n") == (run.exit_code, run.stdout, run.stderr)


def test_a_backend_that_is_configured_or_on_record_may_have_no_such_job(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """One that has jobs need not be configured any more, and nothing else needs to be right in the file."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "genbridge.toml").write_text('[backends.spare]\nprovider = "imini"\n')
    for words in (["-b", "spare"], ["-b", "studio", "--status", "failed"]):
        run = cli("jobs", "list", *words)
        assert (0, "no such job is on record\n") == (run.exit_code, run.stderr)
    (tmp_path / "genbridge.toml").write_text('[backends.spare]\nprovider = "imini"\nmistake = 1\n')
    assert 3 == len(cli("jobs", "list", "-b", "studio").stdout.splitlines()[1:])
    assert "no such job is on record\n" == cli("jobs", "list", "-b", "spare").stderr


def test_the_list_has_json(cli: Cli) -> None:
    """All that is on record of each."""
    document = json.loads(cli("jobs", "list", "--json").stdout)

    assert [("lost", "unknown"), ("film", "running"), ("done", "succeeded")] == [
        (job["id"], job["status"]) for job in document["jobs"]
    ]


def test_a_job_is_shown_with_its_files(cli: Cli) -> None:
    """Names on the left, values on the right; what is not known is left out."""
    run = cli("jobs", "show", "done")

    rows = dict(row.split(maxsplit=1) for row in run.stdout.splitlines() if "'s id" not in row and "output" not in row)
    assert ("done", "succeeded", "painter-1 (acme/painter)", "studio (acme)") == tuple(
        rows[name] for name in ("id", "status", "model", "backend")
    )
    assert "https://cdn.example/done.png" in run.stdout
    assert "failure" not in rows
    assert "" == run.stderr


def test_names_that_are_the_same_are_shown_once(cli: Cli) -> None:
    """And a job that may be billed says that nothing is sent again, and how it is settled."""
    run = cli("jobs", "show", "lost")

    assert "model          painter-1\nbackend        studio\n" in run.stdout
    assert (
        "the service may have accepted it and may bill it; nothing is sent again by itself\n"
        "say what became of it with: genbridge jobs reconcile lost\n"
    ) == run.stderr


def test_a_failure_is_shown(cli: Cli, client: Any, make_job: Callable[..., Job]) -> None:
    """In the service's words, with what was charged."""
    client.record["bad"] = make_job(id="bad", status=JobStatus.FAILED, failure=Failure(message="too dark"), cost=Cost(amount=0))

    run = cli("jobs", "show", "bad")

    assert "failure        too dark" in run.stdout
    assert "cost           0 credits" in run.stdout


def test_a_job_under_way_says_how_to_collect_it(cli: Cli) -> None:
    """After what is known of it."""
    assert "collect it with: genbridge jobs wait film\n" == cli("jobs", "show", "film").stderr


def test_a_job_is_shown_as_json(cli: Cli) -> None:
    """In the form that all have."""
    run = cli("jobs", "show", "film", "--json")

    assert (["film"], "") == ([job["id"] for job in json.loads(run.stdout)["jobs"]], run.stderr)


@pytest.mark.parametrize("command", ["show", "wait", "watch", "cancel"])
def test_a_job_that_is_not_on_record_is_told(cli: Cli, command: str) -> None:
    """With the code of the record."""
    run = cli("jobs", command, "nope", "--json")

    assert (3, "error: no job 'nope' is on record; `genbridge jobs list` shows them\n") == (run.exit_code, run.stderr)
    assert "`genbridge --sandbox jobs list`" in cli("--sandbox", "jobs", command, "nope").stderr
    assert "JournalError" == json.loads(run.stdout)["error"]["kind"]


def test_jobs_are_waited_for_and_collected(cli: Cli, client: Any, tmp_path: Path) -> None:
    """In the order asked for, and each once."""
    run = cli("jobs", "wait", "film", "done", "film", "-o", str(tmp_path), "--timeout", "9")

    assert (0, [f"{tmp_path}/film.mp4", f"{tmp_path}/done.png"]) == (run.exit_code, run.stdout.splitlines())
    assert [("download", "film", tmp_path), ("download", "done", tmp_path)] == sorted(
        (entry for entry in client.asked if entry[0] == "download"), reverse=True
    )
    assert {9.0} == {timeout for handle in client.handles for timeout in handle.timeouts}


def test_jobs_are_waited_for_without_their_files(cli: Cli, client: Any) -> None:
    """Where nobody wants them."""
    run = cli("jobs", "wait", "film", "--no-download")

    assert (0, "") == (run.exit_code, run.stdout)
    assert [("closed",)] == client.asked


def test_the_worst_end_gives_the_code(cli: Cli, client: Any) -> None:
    """And the others are collected."""
    client.fails["result video"] = lambda job: JobFailedError("it failed", job=job)

    run = cli("jobs", "wait", "film", "done")

    assert (1, "done.png\n") == (run.exit_code, run.stdout)


def test_watching_saves_nothing(cli: Cli, client: Any) -> None:
    """It shows the changes."""
    run = cli("jobs", "watch", "film")

    assert (0, "") == (run.exit_code, run.stdout)
    assert [
        "video filmer-2 on studio: running, job film, about 0:20 expected",
        "video filmer-2 on studio: succeeded after 0:21, 5 credits",
    ] == run.stderr.splitlines()
    assert [("closed",)] == client.asked


def test_watching_without_ids_watches_what_is_unfinished(cli: Cli, client: Any) -> None:
    """The oldest first."""
    document = json.loads(cli("jobs", "watch", "--json").stdout)

    assert ["film", "lost"] == [job["id"] for job in document["jobs"]]


@pytest.mark.parametrize("command", ["watch", "resume"])
def test_lines_of_several_jobs_tell_them_apart(cli: Cli, client: Any, command: str) -> None:
    """By the beginnings of their ids and prompts."""
    run = cli("jobs", command)

    ends = [line for line in run.stderr.splitlines() if "succeeded after" in line]
    assert [
        "film a long prompt xxxxxxxxx…, video filmer-2 on studio: succeeded after 0:21, 5 credits",
        "lost a red kite, image painter-1 on studio: succeeded after 0:21, 5 credits",
    ] == sorted(ends)


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("watch", "no job to watch is on record\n"),
        ("resume", "no unfinished job is on record, and no file is to be saved\n"),
        ("reconcile", "no job is in doubt\n"),
    ],
)
def test_nothing_to_do_is_said(cli: Cli, client: Any, command: str, expected: str) -> None:
    """It is no error."""
    client.record.clear()

    run = cli("jobs", command)

    assert (0, "", expected) == (run.exit_code, run.stdout, run.stderr)


def test_resuming_drives_what_is_unfinished(cli: Cli, client: Any, tmp_path: Path) -> None:
    """And saves the files where they are wanted."""
    run = cli("jobs", "resume", "-o", str(tmp_path))

    assert (0, [f"{tmp_path}/film.mp4", f"{tmp_path}/lost.png"]) == (run.exit_code, run.stdout.splitlines())
    assert ("resume", False) in client.asked


def test_resuming_saves_files_where_they_were_wanted(cli: Cli, client: Any, tmp_path: Path) -> None:
    """Each in its own folder; a folder that is given goes before."""
    client.record["film"] = attrs.evolve(client.record["film"], save_to=tmp_path / "films")

    by_itself, told = cli("jobs", "resume"), cli("jobs", "resume", "-o", str(tmp_path / "all"))

    assert f"{tmp_path}/films/film.mp4\n" == by_itself.stdout
    assert [
        "2 jobs: 2 succeeded; 1 file saved",
        "no folder was named for the files of 1; save them with: genbridge jobs wait lost",
    ] == by_itself.stderr.splitlines()[-2:]
    assert "no folder" not in told.stderr
    assert [f"{tmp_path}/all/film.mp4", f"{tmp_path}/all/lost.png"] == told.stdout.splitlines()


def test_resuming_names_no_more_jobs_than_fit_in_a_line(cli: Cli, client: Any, make_job: Callable[..., Job]) -> None:
    """There may be thousands."""
    client.record.update({name: make_job(id=name, status=JobStatus.RUNNING) for name in "abcdef"})

    advice = "no folder was named for the files of 8; save them with: genbridge jobs wait ID..."
    assert advice == cli("jobs", "resume").stderr.splitlines()[-1]


def test_waiting_saves_files_where_they_were_wanted(cli: Cli, client: Any, tmp_path: Path) -> None:
    """So that whoever pressed Ctrl-C finds them where they would have been; others go where one is."""
    client.record["film"] = attrs.evolve(client.record["film"], save_to=tmp_path / "films")

    by_itself, told = cli("jobs", "wait", "film", "done"), cli("jobs", "wait", "film", "-o", "here")

    assert ([f"{tmp_path}/films/film.mp4", "done.png"], "here/film.mp4\n") == (by_itself.stdout.splitlines(), told.stdout)


def test_a_job_says_where_its_files_are_wanted(cli: Cli, client: Any) -> None:
    """As long as they are not there."""
    client.record["film"] = attrs.evolve(client.record["film"], save_to=Path("/films"))

    assert "files go to    /films" in cli("jobs", "show", "film").stdout
    assert "files go to" not in cli("jobs", "show", "done").stdout
    assert ["/films", None] == [
        json.loads(cli("jobs", "show", name, "--json").stdout)["jobs"][0]["save_to"] for name in ("film", "done")
    ]


def test_ids_that_begin_the_same_are_shown_whole() -> None:
    """As those of several tries do; otherwise their beginning is enough."""
    assert ["0123456789", "0123456789+2", "abcdefgh"] == brief(["0123456789", "0123456789+2", "abcdefghij"])


def test_resuming_saves_nothing_that_nobody_wanted_saved(cli: Cli, client: Any) -> None:
    """There may be many."""
    assert "" == cli("jobs", "resume").stdout
    assert [("resume", False), ("closed",)] == client.asked


def test_a_job_is_cancelled(cli: Cli) -> None:
    """It says where it stands then."""
    run = cli("jobs", "cancel", "film")

    assert (0, "video filmer-2 on studio, job film: cancelled\n") == (run.exit_code, run.stdout)


def test_a_job_is_cancelled_with_json(cli: Cli) -> None:
    """In the form that all have."""
    (job,) = json.loads(cli("jobs", "cancel", "film", "--json").stdout)["jobs"]

    assert ("film", "cancelled") == (job["id"], job["status"])


def test_a_job_that_has_ended_is_not_cancelled(cli: Cli, client: Any) -> None:
    """It says so, asks nobody, and the code is not that of a job that was stopped."""
    client.fails["cancel"] = lambda _job: AssertionError("nobody is to be asked")

    run, in_json = cli("jobs", "cancel", "done"), cli("jobs", "cancel", "done", "--json")

    expected = "job done has already ended (succeeded); nothing was cancelled"
    assert (1, "", f"error: {expected}\n") == (run.exit_code, run.stdout, run.stderr)
    assert ("JobError", expected) == tuple(json.loads(in_json.stdout)["jobs"][0]["error"][name] for name in ("kind", "message"))


def test_a_job_that_was_cancelled_may_be_cancelled_again(cli: Cli, client: Any) -> None:
    """It stands where it was to stand."""
    client.record["film"] = attrs.evolve(client.record["film"], status=JobStatus.CANCELLED)
    client.fails["cancel"] = lambda _job: AssertionError("nobody is to be asked")

    run = cli("jobs", "cancel", "film")

    assert (0, "video filmer-2 on studio, job film: cancelled\n") == (run.exit_code, run.stdout)


def test_a_service_that_cannot_cancel_is_told(cli: Cli, client: Any) -> None:
    """The job goes on."""
    client.fails["cancel"] = lambda job: CancelUnsupportedError("it goes on and will be billed", job=job)

    run = cli("jobs", "cancel", "film")

    assert (1, "error: it goes on and will be billed\n") == (run.exit_code, run.stderr)


# Jobs that were never sent.


@pytest.fixture
def never_sent(client: Any, make_job: Callable[..., Job]) -> list[str]:
    """Record two more jobs, which nobody has sent, and return their ids."""
    for name in ("wish", "hope"):
        client.record[name] = make_job(id=name, status=JobStatus.PENDING, provider_id=None, submitted_at=None)
    return ["wish", "hope"]


def test_watching_leaves_out_what_was_never_sent(cli: Cli, client: Any, never_sent: list[str]) -> None:
    """To follow it would send it; it is said how many these are, and what can be done."""
    run = cli("jobs", "watch", "--sandbox", "--json")

    assert ["film", "lost"] == [job["id"] for job in json.loads(run.stdout)["jobs"]]
    assert (
        "2 jobs were never sent and are left out: `genbridge --sandbox jobs resume` sends them, "
        "`genbridge --sandbox jobs cancel --unsent` drops them\n"
    ) == run.stderr
    assert {"film", "lost"} == {handle.id for handle in client.handles if handle.timeouts}


@pytest.mark.parametrize("command", ["watch", "wait"])
def test_a_job_that_was_never_sent_is_not_waited_for(cli: Cli, client: Any, never_sent: list[str], command: str) -> None:
    """Also where it is named; the others are, and all are told in the order asked for."""
    run = cli("jobs", command, "wish", "film", "--json")

    wish, film = json.loads(run.stdout)["jobs"]
    assert (1, "pending", "succeeded", None) == (run.exit_code, wish["status"], film["status"], film["error"])
    assert "job wish was never sent: `genbridge jobs resume` sends it" == wish["error"]["message"]
    assert {"film"} == {handle.id for handle in client.handles if handle.timeouts}


@pytest.mark.parametrize("words", ["watch", "resume", "resume --no-send", "wait wish hope film lost"])
def test_where_there_are_workers_what_was_not_sent_yet_is_followed_as_all_else(
    cli: Cli, client: Any, never_sent: list[str], words: str
) -> None:
    """It waits for its turn there, whoever looks."""
    client.watches = True

    run = cli("jobs", *words.split(), "--json")

    assert {"film", "lost", *([] if "--no-send" in words else never_sent)} == {job["id"] for job in json.loads(run.stdout)["jobs"]}
    assert "never sent" not in run.stderr


def test_what_was_never_sent_can_be_dropped_all_at_once(cli: Cli, client: Any, never_sent: list[str]) -> None:
    """Nothing that was sent is touched."""
    run = cli("jobs", "cancel", "--unsent")

    assert (0, 2) == (run.exit_code, len(run.stdout.splitlines()))
    assert "2 jobs that were never sent are dropped; nothing was paid\n" == run.stderr
    assert ["cancelled"] * 2 == [client.record[name].status for name in never_sent]
    assert ("running", "unknown") == (client.record["film"].status, client.record["lost"].status)


def test_nothing_to_drop_is_said(cli: Cli) -> None:
    """It is no error."""
    run = cli("jobs", "cancel", "--unsent")

    assert (0, "", "no job on record was never sent\n") == (run.exit_code, run.stdout, run.stderr)


def test_several_jobs_are_cancelled(cli: Cli, client: Any) -> None:
    """One that cannot be does not hinder the others; the JSON has each with its error."""
    run = cli("jobs", "cancel", "done", "film", "film", "--json")

    done, film = json.loads(run.stdout)["jobs"]
    assert (1, "JobError", "cancelled", None) == (run.exit_code, done["error"]["kind"], film["status"], film["error"])


@pytest.mark.parametrize("words", [[], ["film", "--unsent"]])
def test_what_is_to_be_cancelled_must_be_clear(cli: Cli, client: Any, words: list[str]) -> None:
    """Either ids, or all that were never sent."""
    assert 2 == cli("jobs", "cancel", *words).exit_code
    assert "running" == client.record["film"].status


def test_resuming_says_what_is_sent_and_what_it_costs(cli: Cli, client: Any, never_sent: list[str]) -> None:
    """Before anything is."""
    said = cli("jobs", "resume").stderr.splitlines()

    assert "2 jobs were never sent and are sent now, 10 credits on studio" == said[0]
    assert ("resume", False) in client.asked


def test_resuming_can_leave_what_was_never_sent(cli: Cli, client: Any, never_sent: list[str], tmp_path: Path) -> None:
    """All else is as without it: what is under way is collected, and what nobody saved is saved."""
    client.record["done"] = attrs.evolve(client.record["done"], save_to=tmp_path)

    run = cli("jobs", "resume", "--no-send")

    assert (0, f"{tmp_path}/done.png\n") == (run.exit_code, run.stdout)
    assert "2 jobs were never sent and are left out: " in run.stderr
    assert {"film", "lost", "done"} == {handle.id for handle in client.handles if handle.timeouts}
