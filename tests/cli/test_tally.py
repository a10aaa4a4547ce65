"""How a batch comes along."""

from __future__ import annotations

import io
import sys
from typing import Any

import pytest
from rich.console import Console
from screen import Terminal, Watch

from genbridge.cli.tally import LiveBoard, Part, PlainBoard, Tally, board
from genbridge.types import Certainty, Cost, JobStatus, Snapshot


@pytest.fixture
def watch() -> Watch:
    """Stop at noon."""
    return Watch()


def part(number: int = 1, **known: Any) -> Part:
    """Return a job that is not sent yet."""
    given: dict[str, Any] = {"label": f"line {number}", "backend": "imini", "quote": Cost(amount=75), **known}
    return Part(**given)


def make(watch: Watch, count: int, **known: Any) -> Tally:
    """Return a tally of jobs that are not sent yet."""
    return Tally(name="shots", parts=[part(number, **known) for number in range(1, count + 1)], now=watch)


def see(tally: Tally | PlainBoard | LiveBoard, index: int, status: str, **known: Any) -> None:
    """Let a tally see where a job stands."""
    tally.observe(index, Snapshot(status=JobStatus(status), **known))


def drawn(live: LiveBoard, *, width: int = 100) -> list[str]:
    """Return what a board looks like."""
    console = Console(file=io.StringIO(), width=width, color_system=None)
    live.console = console
    with console.capture() as capture:
        console.print(live)
    return [line.rstrip() for line in capture.get().splitlines()]


def test_jobs_are_counted_by_where_they_stand(watch: Watch) -> None:
    """What has ended comes first; a state without any job is not there."""
    tally = make(watch, 6)
    for index, status in enumerate(("unknown", "running", "succeeded", "failed", "succeeded")):
        see(tally, index, status)

    assert {"succeeded": 2, "failed": 1, "unknown": 1, "running": 1, "waiting": 1} == tally.counts()
    assert 4 == tally.over


def test_spent_is_what_has_ended_and_reserved_what_has_not(watch: Watch) -> None:
    """A job in doubt keeps its reservation; one that is not sent yet has none; one that was refunded cost nothing."""
    tally = make(watch, 6)
    see(tally, 0, "succeeded", cost=Cost(amount=80))
    see(tally, 1, "succeeded")
    see(tally, 2, "failed", cost=Cost(amount=0))
    see(tally, 3, "unknown")
    see(tally, 4, "running")

    assert "spent 155 credits on imini; reserved 150 credits on imini" == tally.money()


def test_money_that_is_not_spent_is_not_spoken_of(watch: Watch) -> None:
    """Neither before anything is sent nor where everything was refused."""
    tally = make(watch, 2)
    see(tally, 0, "failed", cost=Cost(amount=0))

    assert "" == tally.money()


def test_the_time_left_is_not_said_before_it_can_be(watch: Watch) -> None:
    """It takes some jobs that ended here; those that had ended before say nothing of the pace."""
    tally = Tally(
        name="shots", parts=[part(status=JobStatus.SUCCEEDED) for _ in range(10)] + [part() for _ in range(10)], now=watch
    )
    watch.after(40)
    for index in range(10, 14):
        see(tally, index, "succeeded")
    assert (None, "0:40") == (tally.left(), tally.time())

    see(tally, 14, "succeeded")

    assert (40, "0:40, about 0:40 left") == (tally.left(), tally.time())


def test_at_the_end_no_time_is_left(watch: Watch) -> None:
    """And none is said to be."""
    tally = make(watch, 5)
    watch.after(9)
    for index in range(5):
        see(tally, index, "succeeded")

    assert (None, "0:09") == (tally.left(), tally.time())


def test_a_job_that_ended_is_a_plain_line(watch: Watch) -> None:
    """Once, with how long it took and what it cost; other changes are none."""
    printed: list[str] = []
    plain = PlainBoard(make(watch, 3), print=printed.append)

    see(plain, 0, "pending", note="waiting 5 s: full")
    see(plain, 0, "submitting")
    watch.after(4)
    see(plain, 0, "succeeded", cost=Cost(amount=80, certainty=Certainty.ESTIMATED))
    see(plain, 0, "succeeded", cost=Cost(amount=80, certainty=Certainty.ESTIMATED))
    see(plain, 1, "unknown")
    see(plain, 2, "failed")

    assert [
        "line 1: succeeded after 0:04, about 80 credits",
        "line 2: unknown; it may have been accepted",
        "line 3: failed after 0:00",
    ] == printed


def test_now_and_then_a_plain_line_is_about_all(watch: Watch) -> None:
    """At most every ten seconds of its clock."""
    printed: list[str] = []
    plain = PlainBoard(make(watch, 3), print=printed.append)
    for seconds in (0, 9, 10, 15, 19, 20):
        watch.after(seconds)
        see(plain, 0, "running")

    assert [
        "0 of 3 done: 1 running, 2 waiting; reserved 75 credits on imini; 0:10",
        "0 of 3 done: 1 running, 2 waiting; reserved 75 credits on imini; 0:20",
    ] == printed


def test_a_terminal_shows_the_bar_the_states_and_the_money(watch: Watch) -> None:
    """And what a backend lets its jobs wait for."""
    tally = make(watch, 4)
    live = LiveBoard(tally, Console())
    see(live, 0, "succeeded")
    see(live, 1, "running")
    see(live, 2, "pending", note="waiting 5 s: at most 12 submits in 60 s")
    watch.after(61)

    bar, *rest = drawn(live)

    assert bar.startswith("shots  ━━━━━━━━")
    assert bar.endswith("1 of 4  1:01")
    assert [
        "  1 succeeded  1 running  2 waiting",
        "  spent 75 credits on imini",
        "  reserved 75 credits on imini",
        "  imini: waiting 5 s: at most 12 submits in 60 s",
    ] == rest


def test_a_job_that_was_sent_waits_for_nothing(watch: Watch) -> None:
    """The note of a missed poll is not shown as if it held anybody up."""
    tally = make(watch, 1)
    see(tally, 0, "running", note="no answer")

    assert {} == tally.notes()


@pytest.mark.parametrize("width", [60, 80, 120])
def test_every_line_fits_the_terminal(watch: Watch, width: int) -> None:
    """Also of a batch with a long name."""
    live = LiveBoard(Tally(name="a-very-long-name-" * 4, parts=[part()], now=watch), Console())

    assert all(len(line) <= width for line in drawn(live, width=width))


def test_a_pipe_gets_plain_lines_on_stderr(watch: Watch, capsys: pytest.CaptureFixture[str]) -> None:
    """None where JSON is wanted."""
    for quiet in (False, True):
        with board(make(watch, 1), quiet=quiet) as shown:
            shown.observe(0, Snapshot(status=JobStatus.SUCCEEDED))

    assert ("", "line 1: succeeded after 0:00, 75 credits\n") == tuple(capsys.readouterr())


def test_a_terminal_is_redrawn(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last state stays."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", Terminal())
    stream = sys.stderr
    with board(make(watch, 1)) as shown:
        shown.observe(0, Snapshot(status=JobStatus.SUCCEEDED))

    assert "1 of 1" in stream.getvalue()  # type: ignore[attr-defined]
