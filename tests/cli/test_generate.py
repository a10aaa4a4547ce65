"""`genbridge generate` and `genbridge quote`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest

from genbridge.errors import (
    AuthenticationError,
    BudgetError,
    DownloadError,
    JobFailedError,
    JobTimeoutError,
    Problem,
    RequestError,
    SubmitUnknownError,
)
from genbridge.types import Certainty, ImageRequest, Job, JobStatus, Quote, Snapshot, VideoRequest

Cli = Callable[..., Any]


def invalid(_about: Any) -> Exception:
    """Return what a wrong request gives."""
    return RequestError("the request is not valid", problems=[Problem("duration", "30 is not between 4 and 15")])


def test_the_paths_of_what_was_made_are_all_there_is_on_stdout(cli: Cli, client: Any, tmp_path: Path) -> None:
    """One job for each medium; the progress is on stderr."""
    run = cli("generate", "a red kite", "--image", "--video", "--duration", "5", "-o", str(tmp_path))

    assert 0 == run.exit_code
    assert [f"{tmp_path}/job1.png", f"{tmp_path}/job2.mp4"] == run.stdout.splitlines()
    assert "video filmer-2 on studio: succeeded after 0:21, 5 credits" in run.stderr
    assert [ImageRequest("a red kite"), VideoRequest("a red kite", duration=5)] == [
        entry[1] for entry in client.asked if entry[0] == "submit"
    ]


def test_files_go_where_one_is_unless_told_otherwise(cli: Cli, client: Any) -> None:
    """Like other tools do."""
    cli("generate", "kite")

    assert ("download", "job1", Path()) in client.asked


def test_every_request_is_checked_before_the_first_is_sent(cli: Cli, client: Any) -> None:
    """An image is not paid for when the video beside it is wrong."""
    client.fails["quote video"] = invalid

    run = cli("generate", "kite", "--image", "--video")

    assert 2 == run.exit_code
    assert "" == run.stdout
    assert "error: video on studio: the request is not valid\n  duration: 30 is not between 4 and 15\n" == run.stderr
    assert not [what for what, *_ in client.asked if what == "submit"]


def test_a_request_that_was_not_sent_is_in_the_json_with_its_problems(cli: Cli, client: Any) -> None:
    """Beside the one that would have been fine."""
    client.fails["quote video"] = invalid

    document = json.loads(cli("generate", "kite", "--image", "--video", "--json").stdout)

    image, video = document["jobs"]
    assert (None, None, "image") == (image["id"], image["error"], image["media"])
    assert [{"field": "duration", "message": "30 is not between 4 and 15"}] == video["error"]["problems"]


def test_options_of_the_command_reach_the_client(cli: Cli, client: Any) -> None:
    """The backend, the cap and the patience."""
    client.config = attrs.evolve(client.config, backends={"spare": client.config.backends["studio"]})

    cli("generate", "kite", "-b", "spare", "--max-cost", "9", "--timeout", "30")

    assert ("submit", ImageRequest("kite"), "spare", 9.0) in client.asked
    assert [30.0] == client.handles[0].timeouts


def test_a_backend_that_is_not_configured_ends_before_anything_is_asked(cli: Cli, client: Any) -> None:
    """With the setup code and a proposal."""
    run = cli("generate", "kite", "-b", "studoi")

    assert 3 == run.exit_code
    assert "did you mean 'studio'?" in run.stderr
    assert [("closed",)] == client.asked


def test_a_dry_run_quotes_and_sends_nothing(cli: Cli, client: Any) -> None:
    """It prints what it would cost."""
    run = cli("generate", "kite", "--dry-run")

    assert (0, "image painter-1 on studio: 5 credits (5 credits per image)\n") == (run.exit_code, run.stdout)
    assert ["quote", "closed"] == [what for what, *_ in client.asked]


def test_a_dry_run_has_json_too(cli: Cli) -> None:
    """A quote for each request."""
    document = json.loads(cli("generate", "kite", "--dry-run", "--json").stdout)

    (quoted,) = document["quotes"]
    assert {"backend": "studio", "media": "image", "model": "painter-1", "prompt": "kite", "error": None} == {
        name: value for name, value in quoted.items() if name != "quote"
    }
    assert 5 == quoted["quote"]["amount"]


def test_quote_is_a_dry_run(cli: Cli, client: Any) -> None:
    """It takes the same request."""
    run = cli("quote", "kite", "--video", "--duration", "5")

    assert (0, "video filmer-2 on studio: 5 credits (5 credits per image)\n") == (run.exit_code, run.stdout)
    assert [("quote", VideoRequest("kite", duration=5), None), ("closed",)] == client.asked


def test_a_price_that_is_not_known_is_quoted_as_such(cli: Cli, client: Any) -> None:
    """It is not taken for nothing."""
    client.amount = None

    assert "image painter-1 on studio: unknown cost" in cli("quote", "kite").stdout


def test_a_quote_without_a_basis_is_the_sum_alone(cli: Cli, client: Any) -> None:
    """No empty brackets."""
    client.quoted = Quote(amount=3, certainty=Certainty.ESTIMATED, model="painter-1")

    assert "image painter-1 on studio: about 3 credits\n" == cli("quote", "kite").stdout


@pytest.mark.parametrize("command", ["generate kite --sandbox", "generate kite --sandbox --dry-run", "quote kite --sandbox"])
def test_a_model_that_is_not_there_is_answered_with_how_to_list_them(cli: Cli, client: Any, command: str) -> None:
    """With the options of the run; what else is wrong has nothing to do with it."""
    for field, expected in (("model", ["list the models with: genbridge --sandbox models -b studio"]), ("duration", [])):
        wrong = RequestError("the request is not valid", problems=[Problem(field, "it is wrong")])
        client.fails["quote image"] = lambda _about, wrong=wrong: wrong

        run = cli(*command.split())

        assert 2 == run.exit_code
        assert ["error: the request is not valid", f"  {field}: it is wrong", *expected] == [
            line for line in run.stderr.splitlines() if not line.startswith("sandbox: ")
        ]


def test_an_invalid_request_is_told_in_the_quotes_json(cli: Cli, client: Any) -> None:
    """With the code of a wrong request."""
    client.fails["quote image"] = invalid

    run = cli("quote", "kite", "--json")

    (quoted,) = json.loads(run.stdout)["quotes"]
    assert (2, None, "RequestError") == (run.exit_code, quoted["quote"], quoted["error"]["kind"])


@pytest.mark.parametrize("command", ["generate", "quote"])
def test_a_cap_is_kept_before_anything_is_sent(cli: Cli, client: Any, command: str) -> None:
    """The message says both amounts."""
    run = cli(command, "kite", "--image", "--video", "--max-cost", "4.5")

    assert 8 == run.exit_code
    assert "error: image painter-1 on studio: it would cost 5 credits, the most for one job is 4.5; nothing was sent" in run.stderr
    assert "submitting" not in run.stderr
    assert not [what for what, *_ in client.asked if what == "submit"]


@pytest.mark.parametrize("words", [["generate"], ["generate", "--dry-run"], ["quote"]])
def test_a_cap_of_the_backend_is_kept_over_all_jobs_of_a_command(cli: Cli, client: Any, words: list[str]) -> None:
    """Before the first is sent; the one for which there is no room has the error."""
    client.room = 1

    run = cli(*words, "kite", "--image", "--video", "--json")

    (image, video) = next(iter(json.loads(run.stdout).values()))
    assert (8, None, "BudgetError") == (run.exit_code, image["error"], video["error"]["kind"])
    assert "there is room for 1 of the 2 jobs" in video["error"]["message"]
    assert not [what for what, *_ in client.asked if what == "submit"]


def test_a_cap_that_the_client_keeps_has_the_same_code(cli: Cli, client: Any) -> None:
    """As one for the day, or one on a price that is not known."""
    client.fails["submit"] = lambda _job: BudgetError("the day's cap is reached")

    run = cli("generate", "kite")

    assert (8, "error: the day's cap is reached") == (run.exit_code, run.stderr.splitlines()[-1])


def test_without_waiting_the_id_is_on_stdout_and_how_to_go_on_is_not(cli: Cli, client: Any) -> None:
    """So that a script can keep the id."""
    run = cli("--journal", "my jobs.db", "generate", "kite", "--no-wait")

    assert (0, "job1\n") == (run.exit_code, run.stdout)
    assert "collect with: genbridge --journal 'my jobs.db' jobs wait job1" == run.stderr.splitlines()[-1]
    assert [] == client.handles[0].timeouts


def test_without_waiting_the_json_has_the_id(cli: Cli) -> None:
    """And nothing else is printed."""
    run = cli("generate", "kite", "--no-wait", "--json")

    (job,) = json.loads(run.stdout)["jobs"]
    assert ("job1", "queued", "") == (job["id"], job["status"], run.stderr)


def test_without_waiting_a_refusal_is_told(cli: Cli, client: Any) -> None:
    """There is no id then."""
    client.fails["submit"] = lambda _job: AuthenticationError("the key was refused", backend="studio")

    run = cli("generate", "kite", "--no-wait")

    assert (4, "") == (run.exit_code, run.stdout)
    assert "error: backend 'studio': the key was refused" in run.stderr


def test_without_downloading_nothing_is_saved(cli: Cli, client: Any) -> None:
    """The job is waited for."""
    run = cli("generate", "kite", "--no-download")

    assert (0, "") == (run.exit_code, run.stdout)
    assert not [what for what, *_ in client.asked if what == "download"]


def test_a_failed_job_does_not_lose_the_other(cli: Cli, client: Any) -> None:
    """Its file is saved, and the failure gives the code."""
    client.fails["result video"] = lambda job: JobFailedError("the service could not make it", job=job)

    run = cli("generate", "kite", "--image", "--video")

    assert (1, "job1.png\n") == (run.exit_code, run.stdout)
    assert "error: video filmer-2 on studio, job job2: the service could not make it" == run.stderr.splitlines()[-1]


def test_a_submit_that_nobody_knows_of_is_not_taken_for_a_refusal(cli: Cli, client: Any) -> None:
    """It has a code of its own, and says where to look."""
    client.fails["submit"] = lambda job: SubmitUnknownError(
        "it may have been accepted", job=attrs.evolve(job, status=JobStatus.UNKNOWN)
    )

    run = cli("generate", "kite")

    assert 5 == run.exit_code
    assert [
        "error: it may have been accepted",
        "say what became of it with: genbridge jobs reconcile job1",
    ] == run.stderr.splitlines()[-2:]


def test_a_job_that_nobody_knows_of_is_in_the_json(cli: Cli, client: Any) -> None:
    """With its id, as it is on record."""
    client.fails["submit"] = lambda job: SubmitUnknownError(
        "it may have been accepted", job=attrs.evolve(job, status=JobStatus.UNKNOWN)
    )

    (job,) = json.loads(cli("generate", "kite", "--json").stdout)["jobs"]

    assert ("job1", "unknown", "SubmitUnknownError") == (job["id"], job["status"], job["error"]["kind"])


@pytest.mark.parametrize(
    ("step", "error", "code"),
    [
        ("result image", lambda job: JobTimeoutError("too slow", job=job), 6),
        ("download", lambda asset: DownloadError("the disk is full", asset=asset), 7),
    ],
)
def test_a_job_that_can_still_be_collected_says_how(
    cli: Cli, client: Any, step: str, error: Callable[[Any], Exception], code: int
) -> None:
    """With the options that reach the same record."""
    client.fails[step] = error

    run = cli("generate", "kite", "--sandbox", "--config", "x.toml")

    assert code == run.exit_code
    assert "collect it with: genbridge --sandbox --config x.toml jobs wait job1" == run.stderr.splitlines()[-1]


def test_a_folder_that_no_record_can_hold_is_told_before_anything_is_paid_for(cli: Cli, client: Any, tmp_path: Path) -> None:
    """In one sentence, and it is not made."""
    run = cli("generate", "kite", "-o", str(tmp_path / "out\udcff"))

    assert (2, 1) == (run.exit_code, len(run.stderr.splitlines()))
    assert "is not UTF-8, so it cannot be put on record; nothing was sent" in run.stderr
    assert [] == [call for call in client.asked if call[0] == "submit"]
    assert [] == list(tmp_path.iterdir())


@pytest.mark.parametrize("place", ["file/out", "/proc"])
def test_a_folder_that_takes_no_files_is_told_before_anything_is_paid_for(
    cli: Cli, client: Any, tmp_path: Path, place: str
) -> None:
    """It is wrong usage, as nothing was sent; even the superuser has no file in the second."""
    (tmp_path / "file").touch()

    run = cli("generate", "kite", "-o", str(tmp_path / place))

    assert (2, "") == (run.exit_code, run.stdout)
    assert f"'{tmp_path / place}' takes no files: " in run.stderr
    assert not [entry for entry in client.asked if entry[0] == "submit"]


def test_one_file_that_cannot_be_saved_does_not_hide_the_others(cli: Cli, client: Any) -> None:
    """Their paths are printed."""
    client.fails["download"] = lambda asset: DownloadError("the link is gone", asset=asset, saved=[Path("out/cover.png")])

    run = cli("generate", "kite")

    assert (7, "out/cover.png\n") == (run.exit_code, run.stdout)


def test_the_sandbox_says_that_it_is_one(cli: Cli) -> None:
    """Wherever the option stands."""
    before, after = cli("--sandbox", "generate", "kite"), cli("generate", "kite", "--sandbox")

    expected = "sandbox: the services are emulated on this machine; nothing is sent and nothing costs"
    assert [expected, expected] == [run.stderr.splitlines()[0] for run in (before, after)]
    assert (True, True) == (before.session.sandbox, after.session.sandbox)


def test_json_is_alone_on_both_streams(cli: Cli) -> None:
    """As long as all goes well."""
    run = cli("generate", "kite", "--sandbox", "--json")

    (job,) = json.loads(run.stdout)["jobs"]
    assert ("", "succeeded", ["job1.png"], None) == (run.stderr, job["status"], job["paths"], job["error"])


def test_an_interruption_says_how_to_go_on(cli: Cli, client: Any) -> None:
    """The job is on record; one line, and the code of a process that was interrupted."""
    client.fails["result image"] = lambda _job: KeyboardInterrupt()

    run = cli("generate", "kite", "--sandbox")

    assert 130 == run.exit_code
    assert "interrupted; the job goes on, collect it with: genbridge --sandbox jobs wait job1" == run.stderr.splitlines()[-1]


def test_an_interruption_of_several_jobs_names_them_all(cli: Cli, client: Any) -> None:
    """One command collects them."""
    client.fails["result image"] = lambda _job: KeyboardInterrupt()
    client.fails["result video"] = lambda _job: KeyboardInterrupt()

    run = cli("generate", "kite", "--image", "--video")

    assert "interrupted; the jobs go on, collect them with: genbridge jobs wait job1 job2" == run.stderr.splitlines()[-1]


def test_an_interruption_has_json_with_the_id(cli: Cli, client: Any) -> None:
    """So that a script can go on too."""
    client.fails["result image"] = lambda _job: KeyboardInterrupt()

    document = json.loads(cli("generate", "kite", "--json").stdout)

    assert ([{"id": "job1"}], "Interrupted", 130) == (document["jobs"], document["error"]["kind"], document["error"]["exit_code"])


def test_an_interruption_of_a_submit_says_where_to_look(cli: Cli, client: Any) -> None:
    """The id is not known then."""
    client.seen = (Snapshot(status=JobStatus.PENDING, note="waiting 5 s"), Snapshot(status=JobStatus.SUBMITTING))
    client.fails["submit"] = lambda _job: KeyboardInterrupt()

    run = cli("generate", "kite")

    assert 130 == run.exit_code
    assert "interrupted; a request was being sent, see what became of it with: genbridge jobs list" == run.stderr.splitlines()[-1]


def test_an_interruption_of_a_job_that_waits_says_that_it_was_not_sent(cli: Cli, client: Any) -> None:
    """And how to send or drop it; it is on record."""
    client.seen = (Snapshot(status=JobStatus.SUBMITTING), Snapshot(status=JobStatus.PENDING, note="waiting 5 s"))
    client.fails["submit"] = lambda _job: KeyboardInterrupt()

    run = cli("generate", "kite", "--sandbox")

    assert (
        "interrupted; job job1 was not sent yet, `genbridge --sandbox jobs resume` sends it and "
        "`genbridge --sandbox jobs cancel job1` drops it"
    ) == run.stderr.splitlines()[-1]
    assert "being sent" not in run.stderr


@pytest.mark.parametrize("status", [JobStatus.PENDING, JobStatus.SUBMITTING])
def test_an_interruption_leaves_a_job_on_record_to_the_workers(
    cli: Cli, client: Any, monkeypatch: pytest.MonkeyPatch, status: JobStatus
) -> None:
    """Where there are any, it is sent without this process."""
    monkeypatch.setenv("JOBS", "postgresql://me:hunter2@db/jobs")
    client.watches = True
    client.seen = (Snapshot(status=status),)
    client.fails["submit"] = lambda _job: KeyboardInterrupt()

    run = cli("generate", "kite", "--journal", "env:JOBS", "--json")

    assert (
        "interrupted; the job goes on, collect it with: genbridge --journal env:JOBS jobs wait job1" == run.stderr.splitlines()[-1]
    )
    assert [{"id": "job1"}] == json.loads(run.stdout)["jobs"]
    assert "waiting a few seconds" not in run.stderr


def test_an_interruption_before_workers_have_a_job_says_that_nothing_was_sent(
    cli: Cli, client: Any, make_job: Callable[..., Job]
) -> None:
    """Jobs of others on record are none of this run."""
    client.watches = True
    client.record["other"] = make_job(id="other")
    client.fails["record"] = lambda _job: KeyboardInterrupt()

    assert "interrupted; nothing was sent" == cli("generate", "kite").stderr.splitlines()[-1]


def test_an_interruption_before_a_job_is_on_record_says_that_nothing_was_sent(cli: Cli, client: Any) -> None:
    """There is nothing to send or drop then."""
    client.fails["record"] = lambda _job: KeyboardInterrupt()

    assert "interrupted; nothing was sent" == cli("generate", "kite").stderr.splitlines()[-1]


def test_an_interruption_before_anything_was_sent_says_only_that(cli: Cli, client: Any) -> None:
    """There is nothing to go on with."""
    client.fails["quote image"] = lambda _about: KeyboardInterrupt()

    assert "interrupted\n" == cli("generate", "kite").stderr


@pytest.mark.parametrize(("words", "seconds"), [(["--no-wait"], 5.0), (["--timeout", "7"], 7.0), ([], None)])
def test_who_does_not_wait_for_ever_does_not_wait_for_ever_for_a_worker(
    cli: Cli, client: Any, words: list[str], seconds: float | None
) -> None:
    """One that drives its jobs itself is as long about it as it takes."""
    cli("generate", "a fox", "--no-download", *words)
    client.watches = True
    cli("generate", "a fox", "--no-download", *words)
    assert [None, seconds] == client.patience


def test_a_job_that_was_refused_is_not_shown_as_under_way(cli: Cli, client: Any) -> None:
    """An interruption after that speaks of the other one only."""
    client.fails["result video"] = lambda _job: KeyboardInterrupt()
    client.fails["result image"] = lambda job: JobFailedError("no", job=job)

    run = cli("generate", "kite", "--image", "--video")

    assert run.stderr.splitlines()[-1].endswith("jobs wait job2")


def test_the_job_knows_where_its_files_are_wanted(cli: Cli, client: Any, tmp_path: Path) -> None:
    """So that another process can put them there; one that nobody waits for wants them nowhere yet, unless a folder is named."""
    later = tmp_path / "later"
    cli("generate", "kite", "-o", str(tmp_path))
    cli("generate", "kite", "--no-download")
    cli("generate", "kite", "--no-wait")
    cli("generate", "kite", "--no-wait", "-o", str(later))

    assert [tmp_path, None, None, later] == [save_to for _, save_to, _ in client.wanted]


def test_a_job_that_waits_says_what_for(cli: Cli, client: Any) -> None:
    """Before it is sent."""
    client.seen = (Snapshot(status=JobStatus.PENDING, note="waiting 5 s: at most 12 submits in 60 s"),)

    assert "image painter-1 on studio: waiting 5 s: at most 12 submits in 60 s" in cli("generate", "kite").stderr.splitlines()
