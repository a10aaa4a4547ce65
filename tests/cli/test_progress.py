"""The lines of jobs that are under way."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Sequence
from datetime import UTC
from typing import Any

import attrs
import pytest
from rich.console import Console
from screen import NOON, Terminal, Watch

from genbridge.cli.progress import LiveBoard, PlainBoard, board, clock, label, size, tags
from genbridge.cli.times import utc_now
from genbridge.downloads import Progress
from genbridge.durations import Usual
from genbridge.types import Asset, AssetRole, Certainty, Cost, ImageRequest, Job, JobStatus, Media, Quote, Snapshot, VideoRequest

COVER = Asset(url="https://cdn.example/a.png", media=Media.IMAGE)


@pytest.fixture
def watch() -> Watch:
    """Stop at noon."""
    return Watch()


@pytest.fixture
def live(watch: Watch) -> LiveBoard:
    """Make a board that is drawn."""
    return LiveBoard(Console(file=Terminal(), width=100), now=watch)


def drawn(board: LiveBoard, *, width: int = 100, encoding: str = "utf-8") -> str:
    """Return what a board looks like."""
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    console = Console(file=stream, width=width, color_system=None)
    with console.capture() as capture:
        console.print(board)
    return capture.get()


@pytest.mark.parametrize(("seconds", "expected"), [(0, "0:00"), (7.9, "0:07"), (65, "1:05"), (3605, "1:00:05"), (-3, "0:00")])
def test_a_time_span_is_written_as_a_clock_shows_it(seconds: float, expected: str) -> None:
    """Hours only where there are any; a clock that was set back shows none."""
    assert expected == clock(seconds)


@pytest.mark.parametrize(("count", "expected"), [(10, "0 kB"), (12_345, "12 kB"), (3_400_000, "3.4 MB")])
def test_a_size_is_written_in_a_unit_that_fits(count: int, expected: str) -> None:
    """Kilobytes, and megabytes from one."""
    assert expected == size(count)


def test_the_time_is_aware() -> None:
    """It can be compared with the times on record."""
    assert UTC == utc_now().tzinfo


@pytest.mark.parametrize(
    ("model", "backend", "expected"),
    [("m", "b", "image m on b"), (None, "b", "image on b"), ("m", None, "image m"), (None, None, "image")],
)
def test_a_label_says_what_is_known(model: str | None, backend: str | None, expected: str) -> None:
    """And nothing else."""
    assert expected == label(ImageRequest("kite"), model, backend)


def test_plain_lines_are_printed_at_a_change_of_state_only(
    watch: Watch, make_job: Callable[..., Job], finish: Callable[[Job], Job]
) -> None:
    """From the submit to the end, with what it cost."""
    printed: list[str] = []
    line = PlainBoard(print=printed.append, now=watch).add("image on studio", Quote(amount=5, certainty=Certainty.EXACT))
    job = make_job()

    line.submitting()
    line.attach(job, 20.0)
    line.observe(Snapshot(status=JobStatus.QUEUED))
    line.observe(Snapshot(status=JobStatus.RUNNING, progress=0.2))
    line.observe(Snapshot(status=JobStatus.RUNNING, progress=0.4, expected=30.0))
    line.attach(finish(job))
    line.download(Progress(asset=COVER, index=0, done=1, total=2))
    line.close(NOON)

    expected = [
        "image on studio: submitting, 5 credits",
        "image painter-1 on studio: queued, job job1, about 0:20 expected",
        "image painter-1 on studio: running, job job1, about 0:20 expected",
        "image painter-1 on studio: succeeded after 0:21, 5 credits",
    ]
    assert expected == printed


def test_a_line_says_how_long_such_jobs_usually_take_and_that_one_takes_longer(
    watch: Watch, live: LiveBoard, make_job: Callable[..., Job]
) -> None:
    """From the 95th percentile on, once in plain text; and no more when it has ended."""
    printed: list[str] = []
    lines = [PlainBoard(print=printed.append, now=watch).add("image"), live.add("image")]
    for line in lines:
        line.attach(make_job(status=JobStatus.RUNNING), 20.0, Usual(low=14.2, high=24.9, late=30.0))
    assert "0:00, usually 10-25 s" in drawn(live)

    watch.after(31)
    for line in lines:
        line.observe(Snapshot(status=JobStatus.RUNNING))
        line.observe(Snapshot(status=JobStatus.RUNNING, progress=0.9))
    assert "0:31, taking longer than usual" in drawn(live)
    for line in lines:
        line.observe(Snapshot(status=JobStatus.FAILED))
        line.close(watch())
    assert "usual" not in drawn(live)
    assert [
        "image painter-1 on studio: running, job job1, usually 10-25 s",
        "image painter-1 on studio: running, job job1, taking longer than usual after 0:31",
        "image painter-1 on studio: failed after 0:31",
    ] == printed


def test_a_plain_line_without_price_or_expectation_says_neither(watch: Watch, make_job: Callable[..., Job]) -> None:
    """What is not known is left out."""
    printed: list[str] = []
    line = PlainBoard(print=printed.append, now=watch).add("image")

    line.submitting()
    line.attach(make_job(quote=Quote(amount=None)))
    watch.after(9)
    line.fail(None, watch())

    assert [
        "image: submitting",
        "image painter-1 on studio: queued, job job1",
        "image painter-1 on studio: failed after 0:09",
    ] == printed


def test_a_job_that_came_to_nothing_does_not_show_what_was_quoted(watch: Watch, make_job: Callable[..., Job]) -> None:
    """Only what it did cost."""
    printed: list[str] = []
    board = PlainBoard(print=printed.append, now=watch)

    board.add("image").attach(make_job(status=JobStatus.FAILED, finished_at=NOON))
    board.add("image").attach(make_job(status=JobStatus.CANCELLED, finished_at=NOON, cost=Cost(amount=2)))
    board.add("image", Quote(amount=5)).fail(None, NOON)
    board.add("image", Quote(amount=5)).fail(make_job(status=JobStatus.FAILED, cost=Cost(amount=0)), NOON)
    board.add("image", Quote(amount=5)).fail(make_job(status=JobStatus.FAILED), NOON)
    board.add("image", Quote(amount=5)).observe(Snapshot(status=JobStatus.FAILED))

    assert [
        "image painter-1 on studio: failed after 0:00",
        "image painter-1 on studio: cancelled after 0:00, 2 credits",
        "image: failed after 0:00",
        "image: failed after 0:00, 0 credits",
        "image: failed after 0:00",
        "image: failed after 0:00",
    ] == printed


def test_a_live_line_of_a_job_that_was_refused_does_not_show_what_was_quoted(live: LiveBoard, make_job: Callable[..., Job]) -> None:
    """Neither with a record of the attempt nor without."""
    live.add("image", Quote(amount=5)).fail(make_job(status=JobStatus.FAILED, cost=Cost(amount=0)), NOON)
    live.add("image", Quote(amount=5)).fail(None, NOON)

    assert ["failed  0:00  0 credits", "failed  0:00"] == [row[row.index("failed") :].strip() for row in drawn(live).splitlines()]


def test_a_submit_that_nobody_knows_of_is_shown_as_such(watch: Watch, make_job: Callable[..., Job]) -> None:
    """It has an id, because it is on record."""
    printed: list[str] = []
    line = PlainBoard(print=printed.append, now=watch).add("image")

    line.fail(make_job(status=JobStatus.UNKNOWN), watch())

    assert ["image: unknown, job job1"] == printed


def test_a_live_line_has_state_times_and_cost(live: LiveBoard, watch: Watch, make_job: Callable[..., Job]) -> None:
    """The elapsed time goes on by itself."""
    line = live.add("video", Quote(amount=130))
    line.attach(make_job(VideoRequest("kite")), 70.0)
    line.observe(Snapshot(status=JobStatus.RUNNING, progress=0.425, cost=Cost(amount=130)))
    watch.after(63)

    words = drawn(live).split("  ")
    assert "video filmer-2 on studio" in drawn(live)
    assert ["running 42%", "1:03 of about 1:10", "130 credits"] == [word.strip() for word in words if word.strip()][-3:]


def test_what_a_job_waits_for_is_shown_until_it_is_sent(live: LiveBoard) -> None:
    """Below the lines, as it is long."""
    line = live.add("image on studio", Quote(amount=5))
    line.hold(Snapshot(status=JobStatus.PENDING, note="waiting 5 s: at most 12 submits in 60 s"))
    waiting = drawn(live).splitlines()
    line.hold(Snapshot(status=JobStatus.SUBMITTING))

    assert "  image on studio: waiting 5 s: at most 12 submits in 60 s" == waiting[1].rstrip()
    assert "waiting" not in drawn(live)


def test_a_plain_line_says_once_what_a_job_waits_for(watch: Watch, make_job: Callable[..., Job]) -> None:
    """And nothing of how it was accepted: that is said with its id."""
    printed: list[str] = []
    line = PlainBoard(print=printed.append, now=watch).add("image on studio")
    for _ in range(2):
        line.hold(Snapshot(status=JobStatus.PENDING, note="waiting 5 s: full"))
    line.hold(Snapshot(status=JobStatus.SUBMITTING))
    line.hold(Snapshot(status=JobStatus.QUEUED))
    line.attach(make_job())

    assert [
        "image on studio: waiting 5 s: full",
        "image on studio: submitting",
        "image painter-1 on studio: queued, job job1",
    ] == printed


def test_a_poll_that_was_missed_is_no_wait(watch: Watch) -> None:
    """The job runs on."""
    line = PlainBoard(print=print, now=watch).add("image")
    line.observe(Snapshot(status=JobStatus.RUNNING, note="no answer"))

    assert line.note is None


def test_a_finished_live_line_stands_still(
    live: LiveBoard, watch: Watch, make_job: Callable[..., Job], finish: Callable[[Job], Job]
) -> None:
    """It shows how long the job took, however late it is."""
    line = live.add("image")
    line.attach(finish(make_job()))
    line.close(NOON)
    watch.after(500)

    assert "✓" in drawn(live)
    assert "succeeded  0:21  5 credits" in drawn(live)


@pytest.mark.parametrize(
    ("status", "mark"), [("failed", "✗"), ("cancelled", "✗"), ("expired", "✗"), ("unknown", "?"), ("running", "-")]
)
def test_a_closed_line_is_marked_by_how_it_ended(live: LiveBoard, status: str, mark: str, make_job: Callable[..., Job]) -> None:
    """A wait that ended before the job has a mark of its own."""
    line = live.add("image")
    line.attach(make_job(status=JobStatus(status)))
    line.close(NOON)

    assert mark == drawn(live)[0]


def test_a_line_keeps_its_columns_in_a_narrow_terminal(live: LiveBoard, watch: Watch, make_job: Callable[..., Job]) -> None:
    """The label gives way."""
    live.add("image").attach(make_job(backend="a-backend-with-a-very-long-name-indeed"), 20.0)

    (row,) = drawn(live, width=72).splitlines()
    assert "queued  0:00 of about 0:20  5 credits" in row
    assert "…" in row
    assert 72 >= len(row)


SEVERAL = {
    "ids of ours": ("1c4d0fe9aa27", "e27a3b01cc10", "88d0126bf3e1"),
    "ids of one's own": ("calendar-2027-january", "calendar-2027-february", "calendar-2027-march"),
    "tries of one id": ("1c4d0fe9aa27", "1c4d0fe9aa27+2", "1c4d0fe9aa27+3"),
    "ids with the same ends": ("january-of-the-year-2027", "january-of-a-far-year-2027", "january-2027"),
}


@pytest.mark.parametrize("ids", SEVERAL.values(), ids=SEVERAL)
@pytest.mark.parametrize("width", [80, 120])
def test_several_jobs_with_one_prompt_can_be_told_apart(
    live: LiveBoard, make_job: Callable[..., Job], width: int, ids: Sequence[str]
) -> None:
    """Also where lines are cut, and while they say a lot."""
    jobs = [make_job(ImageRequest("a red kite over the sea, at dawn"), id=job_id) for job_id in ids]
    for job, tag in zip(jobs, tags(jobs), strict=True):
        live.add("image", tag=tag).attach(job, 20.0, Usual(low=80.0, high=110.0, late=150.0))

    rows = drawn(live, width=width).splitlines()
    assert (3, 3) == (len(rows), len(set(rows)))
    assert all(len(row) <= width for row in rows)
    assert all("queued  0:00, usually 80-110 s  5 credits" in row for row in rows)


def test_the_line_of_one_of_several_jobs_has_its_prompt_and_what_it_is(
    watch: Watch, live: LiveBoard, make_job: Callable[..., Job]
) -> None:
    """In a wide terminal and in a log; one alone needs neither."""
    jobs = [make_job(ImageRequest("a red\nkite over the sea, at dawn"), id=f"{number}c4d0fe9aa27") for number in range(2)]
    printed: list[str] = []
    for shown in (live, PlainBoard(print=printed.append, now=watch)):
        shown.add("image", tag=tags(jobs)[0]).attach(jobs[0])

    assert "0c4d0fe9 a red kite over the sea…, image painter-1 on studio  queued" in drawn(live, width=120)
    assert ["0c4d0fe9 a red kite over the sea…, image painter-1 on studio: queued, job 0c4d0fe9aa27"] == printed
    assert [""] == tags(jobs[:1])


def test_ascii_terminals_get_ascii_marks(make_job: Callable[..., Job], finish: Callable[[Job], Job]) -> None:
    """Spinner included."""
    console = Console(file=io.TextIOWrapper(io.BytesIO(), encoding="ascii"), width=100)
    ascii_board = LiveBoard(console, now=lambda: NOON)
    ascii_board.add("image").attach(finish(make_job()))
    ascii_board.add("image").attach(make_job())

    assert drawn(ascii_board, encoding="ascii").isascii()


@pytest.mark.parametrize(
    ("done", "total", "expected"),
    [(1_000_000, 4_000_000, "1.0 MB of 4.0 MB"), (4_000_000, 4_000_000, "4.0 MB"), (12_000, None, "12 kB")],
)
def test_each_file_on_its_way_has_a_bar(live: LiveBoard, done: int, total: int | None, expected: str) -> None:
    """With how much of it is there, and of how much, where that is known."""
    live.add("image").download(Progress(asset=COVER, index=1, done=done, total=total))

    assert "image 2" in drawn(live)
    assert expected == drawn(live).splitlines()[-1].split("  ")[-1].strip()


def test_a_file_that_is_not_the_output_is_called_by_its_role(live: LiveBoard) -> None:
    """As a video's last frame."""
    frame = attrs.evolve(COVER, role=AssetRole.LAST_FRAME)
    live.add("video").download(Progress(asset=frame, index=1, done=1, total=1))

    assert "last frame  " in drawn(live)


def test_a_pipe_gets_plain_lines(capsys: pytest.CaptureFixture[str]) -> None:
    """On stderr; stdout is for results."""
    with board() as shown:
        shown.add("image").submitting()

    assert ("", "image: submitting\n") == tuple(capsys.readouterr())


def test_a_quiet_pipe_gets_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """As with `--json`."""
    with board(quiet=True) as shown:
        shown.add("image").submitting()

    assert ("", "") == tuple(capsys.readouterr())


def test_a_terminal_gets_lines_that_are_redrawn(monkeypatch: pytest.MonkeyPatch, make_job: Any) -> None:
    """The last state stays."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", Terminal())
    stream = sys.stderr
    with board() as shown:
        shown.add("image").attach(make_job())

    assert "image painter-1 on studio" in stream.getvalue()  # type: ignore[attr-defined]
