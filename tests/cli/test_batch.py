"""`genbridge batch`, against the emulated services."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
from screen import Terminal

from genbridge.batches import Entry, Outcome
from genbridge.cli.batch import Row, plan_words
from genbridge.cli.exits import Exit, exit_for
from genbridge.cli.item import Item
from genbridge.cli.session import Session
from genbridge.client import Client
from genbridge.drives import outcome
from genbridge.types import Cost, Failure, Job, JobStatus

Batch = Callable[..., Any]
Start = Callable[..., subprocess.Popen[str]]

KITE, WAVES = '{"prompt": "a red kite"}', '{"prompt": "waves", "media": "video", "duration": 5, "resolution": "720p"}'


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GENBRIDGE_STATE_DIR", str(tmp_path / "state"))
    return tmp_path


@pytest.fixture
def batch(cli: Callable[..., Any], folder: Path) -> Batch:
    """Run a batch in a sandbox that remembers what was paid; imini unless told otherwise."""
    state = folder / "state"
    state.mkdir()

    def connect(_session: Session) -> Client:
        return Client.sandbox(speed=2000, journal=state / "jobs.db", state=state / "sandbox.json")

    def run(*words: str, backend: str = "imini") -> Any:
        return cli("batch", *words, "-b", backend, connect=connect)

    return run


@pytest.fixture
def shots(folder: Path) -> Callable[..., str]:
    """Write a file of requests, and return its name."""

    def write(*lines: str, name: str = "shots.jsonl") -> str:
        (folder / name).write_text("\n".join(lines))
        return name

    return write


@pytest.fixture
def answer(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Let somebody answer at a terminal."""
    return lambda text: monkeypatch.setattr(sys, "stdin", Terminal(text))


def manifest(folder: Path) -> list[dict[str, Any]]:
    """Return the lines of a manifest."""
    return [json.loads(line) for line in (folder / "manifest.jsonl").read_text().splitlines()]


# Before anything is sent.


def test_a_dry_run_is_a_table_of_quotes_with_the_total(batch: Batch, shots: Callable[..., str], folder: Path) -> None:
    """Nothing is sent, and no folder is made."""
    run = batch(shots(KITE, "", WAVES, '{"prompt": "night", "backend": "sseedance"}'), "--dry-run")

    header, kite, waves, night, total = run.stdout.splitlines()
    assert ["LINE", "STATUS", "MEDIUM", "MODEL", "BACKEND", "COST", "PROMPT"] == header.split()
    assert ("1", "3", "4") == (kite[0], waves[0], night[0])
    assert "to send  video   seedance-2.0   imini      ~1000 credits  waves" in waves
    assert "3 jobs to send, about 1075 credits on imini, 2 credits on sseedance" == total
    assert (0, False) == (run.exit_code, (folder / "shots").exists())


def test_every_mistake_of_the_file_and_for_the_services_is_told_at_once(batch: Batch, shots: Callable[..., str]) -> None:
    """Each with its line, in the order of the lines."""
    run = batch(
        shots(
            '{"prompt": "a", "media": "video", "duration": 99, "resolution": "8k"}',
            '{"prompt": "b", "durration": 5}',
            KITE,
            '{"prompt": "c", "backend": "iminy"}',
            '{"prompt": "d", "model": "nano-bananna-2"}',
        ),
        "--yes",
    )

    assert (2, "") == (run.exit_code, run.stdout)
    head, *lines = run.stderr.splitlines()
    assert "error: shots.jsonl has 5 mistakes; nothing was sent" == head
    assert ["line 1, resolution", "line 1, duration", "line 2, durration", "line 4, backend", "line 5, model"] == [
        line.strip().partition(":")[0] for line in lines
    ]
    assert "did you mean 'imini'?" in lines[3]


def test_mistakes_have_json(batch: Batch, shots: Callable[..., str]) -> None:
    """The place of each is its field."""
    document = json.loads(batch(shots("{}", KITE), "--json").stdout)

    assert ["line 1, prompt"] == [problem["field"] for problem in document["error"]["problems"]]


def test_a_reference_that_is_not_there_is_a_mistake_of_its_line(batch: Batch, shots: Callable[..., str], folder: Path) -> None:
    """It is looked for beside the file."""
    (folder / "sub").mkdir()
    run = batch(shots('{"prompt": "a", "references": ["no.png"]}', name="sub/shots.jsonl"), "--yes")

    assert 2 == run.exit_code
    assert f"  line 1, references[0]: '{folder}/sub/no.png' cannot be read" in run.stderr


def test_nothing_is_sent_where_nobody_can_be_asked(batch: Batch, shots: Callable[..., str], folder: Path) -> None:
    """The sentence has the total, and what to do. No folder is made."""
    run = batch(shots(KITE, WAVES))

    assert not (folder / "shots").exists()
    plan, todo, end = run.stderr.removeprefix("error: ").removesuffix("\n").split("; ")
    assert (2, "2 jobs to send, about 1075 credits on imini", "nothing was sent") == (run.exit_code, plan, end)
    assert "there is no terminal to ask at: add --yes to send them" == todo
    assert "1 on record" not in batch(shots(KITE, WAVES), "--dry-run").stdout


@pytest.mark.parametrize("text", ["n\n", "\n", "", "maybe\n"])
def test_nothing_is_sent_that_was_not_agreed_to(
    batch: Batch, shots: Callable[..., str], folder: Path, answer: Callable[[str], None], text: str
) -> None:
    """Only a clear yes is one. No folder is made before."""
    answer(text)

    run = batch(shots(KITE))

    assert (130, "", False) == (run.exit_code, run.stdout, (folder / "shots").exists())
    assert run.stderr.startswith("1 job to send, about 75 credits on imini. Send it? [y/N] ")
    assert run.stderr.endswith("not agreed to; nothing was sent\n")


def test_what_was_not_agreed_to_has_json(batch: Batch, shots: Callable[..., str], answer: Callable[[str], None]) -> None:
    """The question is on stderr."""
    answer("n\n")

    assert "Interrupted" == json.loads(batch(shots(KITE), "--json").stdout)["error"]["kind"]


@pytest.mark.parametrize(("option", "expected"), [("--max-cost", "74"), ("--max-total", "1074")])
def test_a_cap_is_kept_before_anything_is_sent(batch: Batch, shots: Callable[..., str], option: str, expected: str) -> None:
    """For one job, and for all together."""
    run = batch(shots(KITE, WAVES), "--yes", option, expected)

    assert (8, "") == (run.exit_code, run.stdout)
    assert "nothing was sent" in run.stderr


def test_a_mistake_goes_before_a_cap(batch: Batch, shots: Callable[..., str]) -> None:
    """What is wrong is mended first."""
    assert 2 == batch(shots(KITE, "x"), "--yes", "--max-total", "1").exit_code


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["-"], "a batch on stdin has no name; give --name, from which it is known again; nothing was sent"),
        (["manifest.jsonl", "-o", "."], "manifest.jsonl would be written over by the manifest; give another folder with -o"),
        (["nope.jsonl"], "nope.jsonl cannot be read: No such file or directory"),
    ],
)
def test_what_cannot_be_a_batch_is_told_in_a_sentence(batch: Batch, words: list[str], expected: str) -> None:
    """With the code of wrong usage."""
    run = batch(*words, "--yes")

    assert (2, True) == (run.exit_code, run.stderr.startswith(f"error: {expected}"))


def test_what_another_process_was_refused_is_refused_here_too(make_job: Callable[..., Job]) -> None:
    """Nothing was paid, so it is not said that another try may be paid again."""
    nothing, failure = Cost(amount=0), Failure(message="no such model")
    refused = make_job(status=JobStatus.FAILED, provider_id=None, cost=nothing, failure=failure)
    rows = [following(refused), following(attrs.evolve(refused, provider_id="p-1"))]

    assert [Exit.REFUSED, Exit.FAILED] == [exit_for(row.error) for row in rows if row.error]
    assert ["refused", "failed"] == [row.part().state for row in rows]
    assert "no such model" in rows[0].form(rows[0].part())["error"]["message"]


def following(job: Job) -> Row:
    """Return a row whose job another process has carried out."""
    entry = Entry(index=0, id=job.id, request=job.request, wish=None, backend="studio", quote=job.quote)
    return Row(item=Item(line=1, request=job.request), entry=entry, outcome=Outcome(entry=entry, job=job, error=outcome(job)))


def test_what_was_recorded_and_never_sent_is_yet_to_be_paid(make_job: Callable[..., Job]) -> None:
    """It is in the total, as what is not on record."""

    def row(status: str) -> Row:
        job = make_job(status=JobStatus(status))
        entry = Entry(index=0, id="a", request=job.request, wish=None, backend="studio", job=job)
        return Row(item=Item(line=1, request=job.request), entry=entry)

    rows = [row("pending"), row("pending"), row("unknown"), row("succeeded")]

    assert "4 jobs: 2 on record already (1 unknown, 1 succeeded), 2 to send, 10 credits on studio" == plan_words(rows)


# What is made.


def test_a_batch_is_made_once_it_is_agreed_to(
    batch: Batch, shots: Callable[..., str], folder: Path, answer: Callable[[str], None]
) -> None:
    """The manifest is all that is on stdout; it has the files, in the order of the file."""
    answer("y\n")

    run = batch(shots(KITE, "", WAVES.replace("}", ', "id": "film"}')))

    assert (0, "shots/manifest.jsonl\n") == (run.exit_code, run.stdout)
    kite, film = manifest(folder / "shots")
    assert [(1, None, "succeeded"), (3, "film", "succeeded")] == [(row["line"], row["id"], row["status"]) for row in (kite, film)]
    assert [".png", ".mp4"] == [Path(row["paths"][0]).suffix for row in (kite, film)]
    assert all((folder / "shots" / path).is_file() for row in (kite, film) for path in row["paths"])
    assert (75, None) == (kite["cost"]["amount"], kite["error"])
    assert "line 1: image nano-banana-2 on imini: succeeded after " in run.stderr
    assert "2 jobs: 2 succeeded; spent about 1075 credits on imini; 3 files in shots" == run.stderr.splitlines()[-1]


def test_a_table_is_as_good_as_lines(batch: Batch, shots: Callable[..., str], folder: Path) -> None:
    """And `-o` is where its files go."""
    run = batch(shots("prompt,media,duration", "waves,video,5", name="shots.csv"), "--yes", "-o", "out")

    assert (0, "out/manifest.jsonl\n") == (run.exit_code, run.stdout)
    assert ["succeeded"] == [row["status"] for row in manifest(folder / "out")]


def test_lines_may_come_from_stdin(batch: Batch, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They have the name that they are given."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(KITE.encode())))
    asked = batch("-", "--name", "piped")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(KITE.encode())))
    sent = batch("-", "--name", "piped", "--yes")

    assert (2, 0, "piped/manifest.jsonl\n") == (asked.exit_code, sent.exit_code, sent.stdout)


def test_running_it_again_pays_for_nothing_twice(batch: Batch, shots: Callable[..., str], folder: Path) -> None:
    """Lines may be added and moved; nobody is asked where nothing is sent, and the files are found again."""
    batch(shots(KITE, WAVES), "--yes")
    first = {row["job_id"] for row in manifest(folder / "shots")}

    again = batch(shots(WAVES, KITE))
    more = batch(shots('{"prompt": "a heron"}', KITE, WAVES), "--yes")

    assert (0, "2 jobs: 2 on record already, none to send") == (again.exit_code, again.stderr.splitlines()[0])
    assert "3 jobs: 2 on record already, 1 to send, about 75 credits on imini" == more.stderr.splitlines()[0]
    rows = manifest(folder / "shots")
    assert first == {row["job_id"] for row in rows[1:]}
    assert 4 == sum(len(row["paths"]) for row in rows)


def test_a_batch_is_the_same_on_another_service_and_says_so(batch: Batch, shots: Callable[..., str], folder: Path) -> None:
    """What is on record is not made again; the backends are named, as others were asked for."""
    file = shots(KITE)
    batch(file, "--yes")

    run = batch(file, "--yes", "-o", "elsewhere", backend="sseedance")

    assert "1 job: 1 on record already, on imini, none to send" == run.stderr.splitlines()[0]


def test_another_name_makes_everything_anew(batch: Batch, shots: Callable[..., str], folder: Path) -> None:
    """In a folder of its own."""
    batch(shots(KITE), "--yes")
    run = batch(shots(KITE), "--yes", "--name", "second")

    assert "1 job to send, about 75 credits on imini" == run.stderr.splitlines()[0]
    assert manifest(folder / "shots")[0]["job_id"] != manifest(folder / "second")[0]["job_id"]


def test_it_is_the_same_batch_from_wherever_it_is_run(
    batch: Batch, shots: Callable[..., str], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The path of a local reference does not depend on the folder one is in."""
    (folder / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(64))
    file = shots('{"prompt": "a kite", "references": ["a.png"]}')
    batch(file, "--yes", "-o", "out")
    (folder / "elsewhere").mkdir()
    monkeypatch.chdir(folder / "elsewhere")

    assert "1 job: 1 on record already, none to send" == batch(f"../{file}").stderr.splitlines()[0]


def test_an_id_with_another_request_is_a_mistake_of_its_line(batch: Batch, shots: Callable[..., str]) -> None:
    """It would be two jobs under one name."""
    batch(shots('{"prompt": "a kite", "id": "x"}'), "--yes")

    run = batch(shots('{"prompt": "a heron", "id": "x"}'), "--yes")

    assert 2 == run.exit_code
    assert "  line 1, id: " in run.stderr


def test_a_partial_failure_is_reported_at_the_end(batch: Batch, shots: Callable[..., str], folder: Path) -> None:
    """Each with its line and reason; the highest code counts; what can be done is said."""
    file = shots('{"prompt": "storm [fail]"}', KITE, '{"prompt": "gale [refuse]"}')

    run = batch(file, "--yes")

    assert 4 == run.exit_code
    said = run.stderr.splitlines()
    assert ["error: line 1", "error: line 3"] == [line[:13] for line in said if line.startswith("error")]
    assert [
        "3 jobs: 1 succeeded, 1 failed, 1 refused; spent about 150 credits on imini; 1 file in shots",
        "send those that were refused again with: genbridge batch shots.jsonl -b imini",
        "send those that failed again, which may be paid again, with: genbridge batch shots.jsonl -b imini --retry-failed",
    ] == said[-3:]
    failed, _, refused = (row["error"] for row in manifest(folder / "shots"))
    assert ("JobFailedError", 1, 4) == (failed["kind"], failed["exit_code"], refused["exit_code"])


def test_what_failed_is_sent_again_only_where_that_is_wanted(batch: Batch, shots: Callable[..., str]) -> None:
    """It may be paid again; what was refused started nothing, and is sent again by itself."""
    file = shots('{"prompt": "storm [fail]"}', '{"prompt": "gale [refuse]"}', KITE)
    batch(file, "--yes")

    again, retried = batch(file, "--yes"), batch(file, "--yes", "--retry-failed")

    assert (
        "3 jobs: 2 on record already (1 failed, 1 succeeded), 1 to send, about 75 credits on imini" == again.stderr.splitlines()[0]
    )
    assert "3 jobs: 1 on record already, 2 to send, about 150 credits on imini" == retried.stderr.splitlines()[0]


def test_a_batch_without_its_files_still_has_its_manifest(batch: Batch, shots: Callable[..., str], folder: Path) -> None:
    """It says what there is."""
    run = batch(shots(KITE), "--yes", "--no-download")

    assert (0, ["manifest.jsonl"]) == (run.exit_code, [path.name for path in (folder / "shots").iterdir()])
    assert [] == manifest(folder / "shots")[0]["paths"]


def test_a_wait_that_ends_says_how_to_go_on(batch: Batch, shots: Callable[..., str], folder: Path) -> None:
    """The job goes on."""
    run = batch(shots(WAVES), "--yes", "--timeout", "0", "-o", "out")

    assert 6 == run.exit_code
    assert "continue with: genbridge batch shots.jsonl -b imini -o out --timeout 0" == run.stderr.splitlines()[-1]
    assert manifest(folder / "out")[0]["status"] in {"queued", "running"}


def test_a_manifest_that_cannot_be_written_is_told(batch: Batch, shots: Callable[..., str], folder: Path) -> None:
    """The jobs are done, and on record."""
    (folder / "shots" / "manifest.jsonl").mkdir(parents=True)

    run = batch(shots(KITE), "--yes")

    assert (7, "") == (run.exit_code, run.stdout)
    assert "'shots/manifest.jsonl' cannot be written" in run.stderr


def test_a_folder_that_takes_no_files_is_told_before_anything_is_sent(
    batch: Batch, shots: Callable[..., str], folder: Path
) -> None:
    """Nothing is paid for that could not be kept."""
    (folder / "shots").write_text("")

    run = batch(shots(KITE), "--yes")

    assert 2 == run.exit_code
    assert "1 job to send" in batch(shots(KITE), "--dry-run").stdout


def test_a_batch_has_json(batch: Batch, shots: Callable[..., str]) -> None:
    """Alone on stdout, before and after."""
    file = shots(KITE, WAVES)
    planned = json.loads(batch(file, "--dry-run", "--json").stdout)
    made = json.loads(batch(file, "--yes", "--json").stdout)
    again = json.loads(batch(file, "--dry-run", "--json").stdout)

    total = {"backend": "imini", "unit": "credits", "amount": 1075, "estimated": True, "jobs": 2, "unpriced": 0}
    assert ("shots", None, [total]) == (planned["name"], planned["manifest"], planned["totals"])
    assert [None, None] == [entry["status"] for entry in planned["entries"]]
    assert ("shots/manifest.jsonl", [total]) == (made["manifest"], made["totals"])
    assert ["succeeded", "succeeded"] == [entry["status"] for entry in made["entries"]]
    assert made["entries"][0]["paths"][0].startswith("shots/")
    assert ([], ["succeeded"] * 2) == (again["totals"], [entry["status"] for entry in again["entries"]])


# In processes of their own.


@pytest.fixture
def start(folder: Path) -> Iterator[Start]:
    """Start the command line, and end it with the test."""
    started: list[subprocess.Popen[str]] = []

    def run(*words: str, **streams: Any) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "genbridge", *words, "--sandbox"]
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | streams
        started.append(subprocess.Popen(command, text=True, env=os.environ | {"PYTHONUNBUFFERED": "1"}, **pipes))
        return started[-1]

    yield run
    for process in started:
        process.kill()
        process.communicate(timeout=30)


def read_until(process: subprocess.Popen[str], words: str) -> None:
    """Read what a process says up to some words."""
    assert process.stderr is not None
    said = ""
    while words not in said:
        line = process.stderr.readline()
        assert line, f"it ended after: {said}"
        said += line


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Wait for a process, and return its code and what it said."""
    out, said = process.communicate(timeout=90)
    return process.returncode, out, said


MANY = [f'{{"prompt": "frame {number}"}}' for number in range(24)]


def test_a_batch_that_was_killed_goes_on(start: Start, shots: Callable[..., str], folder: Path) -> None:
    """Every line has its one job and its files, but for those whose submit was under way."""
    file = shots(*MANY)
    killed = start("batch", file, "-b", "sseedance", "--yes")
    read_until(killed, "succeeded after")
    killed.send_signal(signal.SIGKILL)
    killed.wait(timeout=30)

    code, out, said = ended(start("batch", file, "-b", "sseedance", "--yes"))

    assert (True, "shots/manifest.jsonl\n") == (code in {0, 5}, out), said
    rows = manifest(folder / "shots")
    listed = json.loads(ended(start("jobs", "list", "-n", "1000", "--json"))[1])["jobs"]
    assert [f"frame {number}" for number in range(24)] == [row["prompt"] for row in rows]
    assert sorted(row["job_id"] for row in rows) == sorted(job["id"] for job in listed)
    assert {"succeeded"} >= {row["status"] for row in rows} - {"unknown"}
    assert all((folder / "shots" / row["paths"][0]).is_file() for row in rows if row["status"] == "succeeded")


def test_the_files_of_a_batch_that_was_killed_are_collected_where_they_belong(
    start: Start, shots: Callable[..., str], folder: Path
) -> None:
    """By `jobs resume`, from any folder."""
    killed = start("batch", shots(*MANY[:4]), "-b", "sseedance", "--yes")
    read_until(killed, "succeeded after")
    killed.send_signal(signal.SIGKILL)
    killed.wait(timeout=30)
    (folder / "elsewhere").mkdir()

    _, out, said = ended(start("jobs", "resume", cwd=folder / "elsewhere"))

    listed = json.loads(ended(start("jobs", "list", "--json"))[1])["jobs"]
    done = [job for job in listed if job["status"] == "succeeded"]
    assert len(done) == len(list((folder / "shots").glob("*.png"))), said
    assert {None} == {job["save_to"] for job in done}
    assert all(line.startswith(f"{folder}/shots/") for line in out.splitlines())
    assert [] == list((folder / "elsewhere").iterdir())


def test_an_interrupted_batch_says_how_to_go_on_and_leaves_its_manifest(
    start: Start, shots: Callable[..., str], folder: Path
) -> None:
    """Ctrl-C stops no job that was accepted; the manifest has the files that are there."""
    process = start("batch", shots(*MANY), "-b", "sseedance", "--yes", "--max-cost", "50")
    read_until(process, "succeeded after")
    process.send_signal(signal.SIGINT)
    code, out, said = ended(process)

    assert (130, "") == (code, out)
    last = said.splitlines()[-1]
    assert last.startswith("interrupted; jobs that were accepted go on; ")
    assert last.endswith("; continue with: genbridge --sandbox batch shots.jsonl -b sseedance --max-cost 50")
    assert "Traceback" not in said
    rows = manifest(folder / "shots")
    assert 24 == len(rows)
    files = {path.name for path in (folder / "shots").glob("*.png")}
    assert files == {path for row in rows for path in row["paths"]}


def test_an_interrupted_batch_says_how_much_was_not_sent(start: Start, shots: Callable[..., str]) -> None:
    """It is when the batch is run again; what of it is on record can be dropped or sent at once too."""
    process = start("batch", shots(*MANY), "-b", "sseedance", "--yes", "-vv")
    read_until(process, "transport: POST")
    process.send_signal(signal.SIGINT)
    _, _, said = ended(process)

    (words,) = re.findall(r"go on; (\d+) were not sent, and will be when it is run again;(.*) continue with", said)
    record = json.loads(ended(start("jobs", "list", "-n", "100", "--json"))[1])["jobs"]
    assert int(words[0]) == len(MANY) - sum(job["status"] != "pending" for job in record)
    pending = json.loads(ended(start("jobs", "list", "--status", "pending", "--json"))[1])["jobs"]
    assert bool(pending) == ("jobs cancel --unsent` drops" in words[1])
    code, _, dropped = ended(start("jobs", "cancel", "--unsent"))
    assert 0 == code, dropped
    assert [] == json.loads(ended(start("jobs", "list", "--status", "pending", "--json"))[1])["jobs"]


def test_the_manifest_of_an_interrupted_batch_says_why_a_job_has_failed(
    start: Start, shots: Callable[..., str], folder: Path
) -> None:
    """As far as is known by then."""
    films = [line.replace("}", ', "media": "video"}') for line in MANY[:4]]
    process = start("batch", shots('{"prompt": "gale [refuse]"}', *films), "-b", "imini", "--yes")
    read_until(process, ": failed")
    process.send_signal(signal.SIGINT)
    ended(process)

    refused, *others = manifest(folder / "shots")
    assert ("failed", 4) == (refused["status"], refused["error"]["exit_code"])
    assert [None] * 4 == [row["error"] for row in others]


def test_an_interrupted_batch_has_json_with_the_jobs_that_go_on(start: Start, shots: Callable[..., str], folder: Path) -> None:
    """By their ids, as they are on record."""
    films = [line.replace("}", ', "media": "video"}') for line in MANY]
    process = start("batch", shots(*films), "-b", "imini", "--yes", "--json", "-vv")
    read_until(process, "transport: GET")
    process.send_signal(signal.SIGINT)
    code, out, _ = ended(process)

    document = json.loads(out)
    listed = json.loads(ended(start("jobs", "list", "-n", "100", "--json"))[1])["jobs"]
    assert (130, "Interrupted") == (code, document["error"]["kind"])
    assert {job["id"] for job in document["jobs"]} <= {job["id"] for job in listed if job["provider_id"]}
    assert document["jobs"]


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="it needs a terminal")
@pytest.mark.parametrize(("typed", "expected"), [(b"\x03", 130), (b"\x04", 130), (b"y\n", 0)], ids=["Ctrl-C", "Ctrl-D", "yes"])
def test_at_a_terminal_the_question_can_be_answered_and_left(
    start: Start, shots: Callable[..., str], typed: bytes, expected: int
) -> None:
    """Ctrl-C is heard while it waits for the answer, and is no traceback."""
    ours, theirs = os.openpty()
    process = start(
        "batch", shots(KITE), "-b", "sseedance", stdin=theirs, stderr=theirs, start_new_session=True, preexec_fn=_control
    )
    os.close(theirs)
    said = _read_until(ours, b"[y/N] ")
    os.write(ours, typed)
    said += _read_all(ours)
    os.close(ours)

    assert expected == process.wait(timeout=30), said.decode()
    assert b"Traceback" not in said


def _control() -> None:
    """Make stdin the terminal that controls the process, so that Ctrl-C is a signal."""
    import fcntl
    import termios

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def _read_until(terminal: int, words: bytes) -> bytes:
    said = b""
    while words not in said:
        said += os.read(terminal, 1024)
    return said


def _read_all(terminal: int) -> bytes:
    said = b""
    try:
        while part := os.read(terminal, 1024):
            said += part
    except OSError:  # Linux says so when nobody has the other end any more
        return said
    return said
