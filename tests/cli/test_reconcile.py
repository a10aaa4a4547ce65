"""`genbridge jobs reconcile`."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import attrs
import pytest

from genbridge.cli.reconcile import facts_of
from genbridge.config import BackendConfig, Config
from genbridge.errors import JournalError, Problem, RequestError, SubmitUnknownError
from genbridge.types import Failure, Job, JobStatus, VideoRequest

Cli = Callable[..., Any]
Answer = Callable[[str], None]


@pytest.fixture(autouse=True)
def _record(client: Any, make_job: Callable[..., Job]) -> None:
    """Record two jobs in doubt, and one that is not."""
    failure = Failure(message="the answer was lost")
    for job in (
        make_job(id="first", status=JobStatus.UNKNOWN, failure=failure, submitted_at=None, save_to=Path("/out")),
        make_job(VideoRequest("waves"), id="second+2", status=JobStatus.UNKNOWN, failure=failure, provider="imini"),
        make_job(id="sound", status=JobStatus.RUNNING),
    ):
        client.record[job.id] = job
    client.config = Config(backends={"studio": BackendConfig(name="studio", provider="acme", key_url="https://acme.example/keys")})


@pytest.fixture
def answer(monkeypatch: pytest.MonkeyPatch) -> Answer:
    """Let somebody answer on stdin."""
    return lambda text: monkeypatch.setattr(sys, "stdin", io.StringIO(text))


def standing(client: Any) -> dict[str, str]:
    """Return where the jobs on record stand."""
    return {name: job.status.value for name, job in client.record.items()}


def test_each_job_in_doubt_is_shown_with_what_is_known_of_it(cli: Cli, answer: Answer) -> None:
    """The oldest first: when, what, why, what is reserved, and where to look."""
    answer("s\ns\n")

    run = cli("jobs", "reconcile")

    rows = [line for line in run.stdout.splitlines() if line]
    assert ["1 of 2", "2 of 2"] == [row[:6] for row in rows if row[1:5] == " of "]
    assert "1 of 2    image painter-1 on studio, job first" == rows[0]
    facts = dict(row.split(maxsplit=1) for row in rows[1:8])
    assert ("a red kite", "painter-1, there acme/painter", "5 credits") == (facts["prompt"], facts["model"], facts["reserved"])
    assert "the answer was lost" in run.stdout
    assert "acme's own site (that of https://acme.example/keys), for this prompt and model" in facts["look"]
    assert "a balance that is lower by 5 credits" in facts["look"]
    assert "asking" not in run.stderr


def test_the_time_is_when_it_was_sent(make_job: Callable[..., Job]) -> None:
    """Or, of one that nobody knows to be sent, recorded."""
    job = make_job(submitted_at=None)

    assert dict(facts_of(job, job.created_at + timedelta(minutes=5)))["sent"].endswith(", 5m ago")


def test_what_is_skipped_stays_in_doubt(cli: Cli, client: Any, answer: Answer) -> None:
    """The exit code says so."""
    answer("s\nskip\n")

    run = cli("jobs", "reconcile")

    assert 5 == run.exit_code
    assert "2 in doubt still; what they may cost stays reserved" == run.stderr.splitlines()[-1]
    assert {"first": "unknown", "second+2": "unknown", "sound": "running"} == standing(client)


def test_a_job_that_was_not_sent_gives_back_what_it_reserves(cli: Cli, client: Any, answer: Answer) -> None:
    """Nothing is sent in its place unless that is wanted."""
    answer("n\nn\n")

    run = cli("jobs", "reconcile")

    assert 0 == run.exit_code
    assert "image painter-1 on studio, job first: not sent; its reservation is released" in run.stdout.splitlines()
    assert ("failed", "failed") == (standing(client)["first"], standing(client)["second+2"])
    assert [] == client.wanted


def test_what_was_not_sent_is_sent_again_where_that_is_wanted(cli: Cli, client: Any, answer: Answer) -> None:
    """As the next try of the same id, so that a batch that asks for that too sends no third."""
    answer("n\nn\n")

    run = cli("jobs", "reconcile", "--resend")

    assert [("first", Path("/out"), False), ("second", None, False)] == client.wanted
    assert "image painter-1 on studio, job first+2: sent again; collect it with: genbridge jobs wait first+2" in run.stdout


def test_a_job_that_was_found_is_attached(cli: Cli, client: Any, answer: Answer) -> None:
    """It goes on as if its answer had come."""
    answer("a\n task-77 \nq\n")

    run = cli("jobs", "reconcile")

    assert (5, "task-77", "queued") == (run.exit_code, client.record["first"].provider_id, standing(client)["first"])
    assert "job first: attached; collect it with: genbridge jobs wait first" in run.stdout


def test_an_id_that_is_not_given_is_asked_for_again(cli: Cli, client: Any, answer: Answer) -> None:
    """It was a slip."""
    answer("a\n\n \ntask-7\nq\n")

    assert 5 == cli("jobs", "reconcile").exit_code
    assert ("queued", "task-7") == (standing(client)["first"], client.record["first"].provider_id)


def test_the_end_of_the_answers_attaches_nothing(cli: Cli, client: Any, answer: Answer) -> None:
    """Also when an id was asked for."""
    answer("a\n")

    assert 5 == cli("jobs", "reconcile").exit_code
    assert "unknown" == standing(client)["first"]


@pytest.mark.parametrize(("text", "expected"), [("N\ny\n", "failed"), ("N\nn\nq\n", "unknown"), ("N\n", "unknown")])
def test_all_that_follow_can_be_said_not_to_be_sent(cli: Cli, client: Any, answer: Answer, text: str, expected: str) -> None:
    """By a capital letter, once more agreed to."""
    answer(text)

    run = cli("jobs", "reconcile")

    assert "2 jobs: you have looked, and none of them is there?" in run.stderr
    assert (expected, expected) == (standing(client)["first"], standing(client)["second+2"])
    assert "running" == standing(client)["sound"]


def test_all_jobs_in_doubt_are_settled_at_once(cli: Cli, client: Any) -> None:
    """But for those that their service knows; it is asked first."""
    client.settles["first"] = {"status": JobStatus.QUEUED}

    run = cli("jobs", "reconcile", "--all", "--not-sent", "--yes")

    assert (0, "queued", "failed") == (run.exit_code, standing(client)["first"], standing(client)["second+2"])


def test_all_jobs_are_not_settled_without_anybody_saying_so(cli: Cli, client: Any) -> None:
    """Where there is no terminal to ask at."""
    run = cli("jobs", "reconcile", "--all", "--not-sent")

    assert 2 == run.exit_code
    assert "2 jobs, 10 credits on studio; there is no terminal to ask at: add --yes" in run.stderr
    assert "unknown" == standing(client)["first"]


def test_a_service_that_can_be_asked_is(cli: Cli, client: Any, answer: Answer) -> None:
    """It is said while that goes on."""
    client.record["first"] = attrs.evolve(client.record["first"], provider="meigen", backend="m")
    answer("q\n")

    assert "asking what became of 1 on m" in cli("jobs", "reconcile").stderr.splitlines()


def test_nobody_is_sent_to_look_for_an_emulated_job(cli: Cli, answer: Answer) -> None:
    """There is no site that would show it."""
    answer("q\n")

    run = cli("jobs", "reconcile", "--sandbox")

    assert "own site" not in run.stdout
    assert "the service is emulated" in run.stdout


@pytest.mark.parametrize("text", ["", "q\n", "what?\n\n7\nquit\n"])
def test_the_end_of_the_answers_ends_the_questions(cli: Cli, client: Any, answer: Answer, text: str) -> None:
    """An answer that is none is asked for again; nothing is changed."""
    answer(text)

    run = cli("jobs", "reconcile")

    assert 5 == run.exit_code
    assert "Traceback" not in run.stderr
    assert {"first": "unknown", "second+2": "unknown", "sound": "running"} == standing(client)


def test_what_the_service_settles_is_not_asked_about(cli: Cli, client: Any, answer: Answer) -> None:
    """The services are asked before people are."""
    client.settles["first"] = {"status": JobStatus.QUEUED, "provider_id": "p-9"}
    answer("n\n")

    run = cli("jobs", "reconcile")

    assert (0, "queued", "failed") == (run.exit_code, standing(client)["first"], standing(client)["second+2"])
    assert "image painter-1 on studio, job first: it is settled: queued" in run.stdout.splitlines()
    assert "1 of 1" in run.stdout


def test_one_that_cannot_be_settled_does_not_hinder_the_next(cli: Cli, client: Any, answer: Answer) -> None:
    """The error is told, and its code is that of the run."""
    client.fails["not_sent first"] = lambda _job: JournalError("job first is being driven by another process")
    answer("n\nn\n")

    run = cli("jobs", "reconcile")

    assert (5, "failed") == (run.exit_code, standing(client)["second+2"])
    assert "error: job first is being driven by another process" in run.stderr.splitlines()


def test_one_that_is_lost_again_is_told(cli: Cli, client: Any, answer: Answer) -> None:
    """It is in doubt as the first one was."""
    client.fails["submit"] = lambda job: SubmitUnknownError("nobody knows", job=attrs.evolve(job, status=JobStatus.UNKNOWN))
    answer("n\nq\n")

    run = cli("jobs", "reconcile", "--resend")

    assert 5 == run.exit_code
    assert "2 in doubt still; what they may cost stays reserved" == run.stderr.splitlines()[-1]


def test_one_job_is_settled_without_a_question(cli: Cli, client: Any) -> None:
    """By what a flag says of it."""
    sent = cli("jobs", "reconcile", "first", "--not-sent", "--resend")
    found = cli("jobs", "reconcile", "second+2", "--attach", "task-1")

    assert (0, 0) == (sent.exit_code, found.exit_code)
    assert ("failed", "queued") == (standing(client)["first"], standing(client)["second+2"])
    assert "task-1" == client.record["second+2"].provider_id
    assert "" == found.stderr


def test_an_id_that_belongs_to_another_job_is_refused(cli: Cli, client: Any) -> None:
    """In the client's words."""
    client.fails["adopt"] = lambda _id: RequestError("it cannot be attached", problems=[Problem("provider_id", "job x has it")])

    run = cli("jobs", "reconcile", "first", "--attach", "task-1")

    assert (2, "error: it cannot be attached\n  provider_id: job x has it\n") == (run.exit_code, run.stderr)


def test_a_job_that_is_not_in_doubt_is_left_alone(cli: Cli, client: Any) -> None:
    """It says where it stands."""
    run = cli("jobs", "reconcile", "sound")

    assert (1, "error: job sound is not in doubt: it is running; nothing was changed\n") == (run.exit_code, run.stderr)


@pytest.mark.parametrize(
    "words",
    [
        ["--not-sent"],
        ["--attach", "x"],
        ["first", "--not-sent", "--attach", "x"],
        ["first", "--attach", "x", "--resend"],
        ["first", "--attach", " "],
        ["--all"],
        ["first", "--all", "--not-sent"],
        ["first", "--not-sent", "--yes"],
    ],
)
def test_flags_that_say_nothing_clear_are_wrong_usage(cli: Cli, client: Any, words: list[str]) -> None:
    """Nothing is changed."""
    assert 2 == cli("jobs", "reconcile", *words).exit_code
    assert {"first": "unknown", "second+2": "unknown", "sound": "running"} == standing(client)


def test_json_asks_no_questions(cli: Cli, client: Any) -> None:
    """It has what was settled, then what is in doubt."""
    client.settles["second+2"] = {"status": JobStatus.QUEUED}

    run = cli("jobs", "reconcile", "--json")

    assert 5 == run.exit_code
    assert [("second+2", "queued"), ("first", "unknown")] == [(job["id"], job["status"]) for job in json.loads(run.stdout)["jobs"]]


def test_a_flag_has_json(cli: Cli) -> None:
    """With the job that was settled, and the one that was sent in its place."""
    document = json.loads(cli("jobs", "reconcile", "first", "--not-sent", "--resend", "--json").stdout)

    assert [("first", "failed"), ("first+2", "queued")] == [(job["id"], job["status"]) for job in document["jobs"]]
