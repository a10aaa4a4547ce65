"""What a person reads."""

from __future__ import annotations

import asyncio
import io
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console
from screen import Terminal

from genbridge.cli.asking import ask
from genbridge.cli.console import (
    abandon,
    clean,
    complain,
    confess,
    is_dynamic,
    log_to_stderr,
    say,
    speaks_unicode,
    unechoed,
    write_anything,
)
from genbridge.errors import Problem, RequestError


def test_control_characters_of_a_service_do_not_reach_the_terminal() -> None:
    """Line ends stay, whatever steers a cursor does not."""
    assert "a [2J b\n\u4f60 c" == clean("a\x1b[2J b\n\u4f60\tc").replace("  ", " ")


def test_an_error_is_printed_with_its_problems_as_lines(capsys: pytest.CaptureFixture[str]) -> None:
    """On stderr, without wrapping or markup."""
    problems = [Problem("duration", "[bold]30[/] is not between 4 and 15 " + "x" * 200), Problem("model", "unknown")]

    complain(RequestError("the request is not valid", problems=problems))

    printed = capsys.readouterr()
    assert "" == printed.out
    expected = ["error: the request is not valid", f"  {problems[0]}", f"  {problems[1]}"]
    assert expected == printed.err.splitlines()


def test_an_unexpected_error_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """It says that it is a bug, and how to see more."""
    confess(ValueError("two\nlines"), details=False)

    expected = "error: ValueError: two lines (this is a bug in genbridge; run it again with -v to see where)\n"
    assert expected == capsys.readouterr().err


def test_an_unexpected_error_shows_its_traceback_where_it_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    """The line comes last."""
    with pytest.raises(ValueError, match="x") as raised:
        float("x")

    confess(raised.value, details=True)

    lines = capsys.readouterr().err.splitlines()
    assert "Traceback (most recent call last):" == lines[0]
    assert "error: ValueError: could not convert string to float: 'x' (this is a bug in genbridge)" == lines[-1]


def test_colour_is_used_in_a_terminal_and_not_with_no_color(monkeypatch: pytest.MonkeyPatch) -> None:
    """NO_COLOR is respected."""
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr(sys, "stderr", Terminal())
    complain(RequestError("no"))
    monkeypatch.setenv("NO_COLOR", "1")
    colourful, sys.stderr = sys.stderr, Terminal()
    complain(RequestError("no"))

    assert "\x1b[1;31m" in colourful.getvalue()  # type: ignore[attr-defined]
    assert "31m" not in sys.stderr.getvalue()


@pytest.mark.parametrize(
    ("stream", "term", "expected"), [(Terminal(), "xterm", True), (Terminal(), "dumb", False), (io.StringIO(), "xterm", False)]
)
def test_lines_are_redrawn_only_in_a_terminal_that_can(
    stream: io.StringIO, term: str, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FORCE_COLOR makes no terminal of a pipe."""
    monkeypatch.setenv("TERM", term)
    monkeypatch.setenv("FORCE_COLOR", "1")

    assert expected == is_dynamic(stream)


def test_ascii_streams_are_known() -> None:
    """They get no marks that they cannot write."""
    assert speaks_unicode(Console(file=io.TextIOWrapper(io.BytesIO(), encoding="utf-8")))
    assert not speaks_unicode(Console(file=io.TextIOWrapper(io.BytesIO(), encoding="ascii")))


@pytest.mark.parametrize(
    ("verbosity", "expected"),
    [(0, ["warning: w"]), (1, ["WARNING", "INFO"]), (2, ["WARNING", "INFO", "DEBUG"]), (9, ["WARNING", "INFO", "DEBUG"])],
)
def test_the_log_goes_to_stderr_as_far_as_asked(verbosity: int, expected: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Asking again replaces what was asked before."""
    log_to_stderr(2)
    log_to_stderr(verbosity)
    logger = logging.getLogger("genbridge.test")

    logger.warning("w")
    logger.info("i")
    logger.debug("d")

    lines = capsys.readouterr().err.splitlines()
    assert len(expected) == len(lines)
    assert all(level in line for level, line in zip(expected, lines, strict=True))


def test_the_log_says_when_where_that_is_asked(capsys: pytest.CaptureFixture[str]) -> None:
    """By UTC, as the lines of a worker's jobs."""
    log_to_stderr(0, timed=True)
    record = logging.LogRecord("genbridge.test", logging.WARNING, "", 0, "w", None, None)
    record.created = 86400.5
    logging.getLogger("genbridge.test").handle(record)
    log_to_stderr(0)
    assert "1970-01-02T00:00:00Z warning: w\n" == capsys.readouterr().err


def test_what_an_encoding_lacks_is_written_as_an_escape(monkeypatch: pytest.MonkeyPatch) -> None:
    """A prompt in Chinese does not fail on an ASCII terminal."""
    buffer = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(buffer, encoding="ascii"))
    monkeypatch.setattr(sys, "stderr", io.StringIO())

    write_anything()
    say("\u4f60")

    assert b"\\u4f60\n" == buffer.getvalue()


def test_an_abandoned_stream_takes_everything_and_keeps_nothing() -> None:
    """A later write to it does not fail, although its reader is gone."""
    reader, writer = os.pipe()
    with os.fdopen(writer, "w") as stream:
        os.close(reader)
        abandon(stream)
        stream.write("x")
        stream.flush()


@pytest.mark.parametrize(("typed", "expected"), [("  yes \nno\n", "yes"), ("\n", ""), ("", None)])
async def test_an_answer_is_one_line_of_stdin(
    typed: str, expected: str | None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The question is on stderr, in a line that ends; without an answer there is none."""
    monkeypatch.setattr(sys, "stdin", io.StringIO(typed))

    assert expected == await ask("really?\x1b[2J")
    assert ("", "really? [2J \n") == tuple(capsys.readouterr())


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="it needs a terminal")
async def test_a_question_does_not_hold_up_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs are driven on while somebody thinks."""
    ours, theirs = os.openpty()
    with os.fdopen(theirs, "r") as terminal, os.fdopen(ours, "w") as hand:
        monkeypatch.setattr(sys, "stdin", terminal)
        asking = asyncio.ensure_future(ask("really?"))
        for _ in range(3):
            await asyncio.sleep(0)
        assert not asking.done()
        hand.write("yes\n")
        hand.flush()

        assert "yes" == await asking


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="it needs a terminal")
async def test_what_was_typed_before_a_question_is_no_answer_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody has seen what it would agree to."""
    ours, theirs = os.openpty()
    with os.fdopen(theirs, "r") as terminal, os.fdopen(ours, "w") as hand:
        monkeypatch.setattr(sys, "stdin", terminal)
        hand.write("y\nyes\n")
        hand.flush()
        asking = asyncio.ensure_future(ask("really?"))
        for _ in range(3):
            await asyncio.sleep(0)
        hand.write("no\n")
        hand.flush()

        assert "no" == await asking


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="it needs a terminal")
async def test_a_question_that_is_given_up_leaves_the_loop_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The line of the question is ended, for what is said next."""
    ours, theirs = os.openpty()
    with os.fdopen(theirs, "r") as terminal, os.fdopen(ours, "w"):
        monkeypatch.setattr(sys, "stdin", terminal)
        asking = asyncio.ensure_future(ask("really?"))
        for _ in range(3):
            await asyncio.sleep(0)
        asking.cancel()

        with pytest.raises(asyncio.CancelledError):
            await asking
        assert not asyncio.get_running_loop().remove_reader(terminal.fileno())
    assert "really? \n" == capsys.readouterr().err


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="it needs a terminal")
def test_a_terminal_does_not_echo_control_characters_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    """They would shift the lines that are redrawn; afterwards it is as it was."""
    import termios

    ours, theirs = os.openpty()
    with os.fdopen(theirs, "w") as terminal:
        monkeypatch.setattr(sys, "stderr", terminal)
        before = termios.tcgetattr(theirs)
        with unechoed():
            meanwhile = termios.tcgetattr(theirs)
        after = termios.tcgetattr(theirs)
    os.close(ours)

    assert (True, False) == tuple(bool(state[3] & termios.ECHOCTL) for state in (before, meanwhile))
    assert before == after


def test_what_is_no_terminal_is_left_alone(capsys: pytest.CaptureFixture[str]) -> None:
    """There is nothing to turn off."""
    with unechoed():
        sys.stderr.write("fine\n")

    assert "fine\n" == capsys.readouterr().err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no device here that is always full")
def test_an_output_that_takes_nothing_is_told_in_a_sentence(tmp_path: Path) -> None:
    """On JSON too; the exit code is not that of a success."""
    command = [sys.executable, "-m", "genbridge", "models", "-b", "imini", "--sandbox", "--json"]
    with Path("/dev/full").open("w") as full:
        env = {**os.environ, "GENBRIDGE_STATE_DIR": str(tmp_path)}
        run = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False, env=env)
    assert (1, True) == (run.returncode, "error: the output cannot be written (No space left on device)" in run.stderr)
    assert "Traceback" not in run.stderr
