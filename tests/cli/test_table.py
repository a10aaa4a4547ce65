"""Tables on stdout."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable

import pytest
from screen import Terminal

from genbridge.cli.table import print_table


def test_columns_are_aligned_and_whole_where_stdout_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is cut, so that a script finds everything."""
    print_table(("ID", "PROMPT"), [("1", "x" * 300), ("22", "two\nlines")], cut="PROMPT")

    expected = ["ID  PROMPT", "1   " + "x" * 300, "22  two lines"]
    assert expected == capsys.readouterr().out.splitlines()


def test_a_table_may_have_no_header(capsys: pytest.CaptureFixture[str]) -> None:
    """As a list of facts has none."""
    print_table(None, [("id", "1"), ("status", "queued")])

    assert ["id      1", "status  queued"] == capsys.readouterr().out.splitlines()


@pytest.mark.parametrize("header", [("ID", "PROMPT"), None])
def test_a_terminal_gets_what_fits(header: tuple[str, str] | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first column stays whole."""
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stdout", Terminal())

    print_table(header, [("0123456789abcdef", "[b]" + "x" * 300)], cut="PROMPT")

    printed = sys.stdout.getvalue()  # type: ignore[attr-defined]
    assert "0123456789abcdef  [b]x" in printed
    assert all(len(line) <= 40 for line in printed.splitlines() if "\x1b" not in line)


def test_only_the_columns_that_may_are_wrapped(monkeypatch: pytest.MonkeyPatch) -> None:
    """The others stay on one line."""
    stream = Terminal()
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stdout", stream)

    print_table(("MODEL", "RATIOS", "PRICE"), [("painter-1", "1:1, " * 20, "2 to 4 per image")], wrap=("RATIOS",))

    row = stream.getvalue().splitlines()[1]
    assert row.startswith("painter-1  1:1, ")
    assert "2 to 4 per image" in row
    assert len(stream.getvalue().splitlines()) > 5


def test_a_terminal_too_narrow_for_that_wraps_every_column_but_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """No column is left with a letter a line."""
    stream = Terminal()
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stdout", stream)

    print_table(("MODEL", "RATIOS", "PRICE"), [("painter-1", "1:1, " * 8, "2 to 4 per image and more")], wrap=("RATIOS",))

    assert "painter-1  1:1, " in stream.getvalue()
    assert len(stream.getvalue().splitlines()) < 8


ID = "sora-2-pro-image-to-video"


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], list[str]]:
    """Print a table with a column that can be spared in a terminal of some width."""

    def show(width: int) -> list[str]:
        stream = Terminal()
        monkeypatch.setenv("COLUMNS", str(width))
        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.setattr(sys, "stdout", stream)
        row = (ID, "16:9, 9:16, 1:1, 21:9", "about 2 to 160 per image")
        print_table(("MODEL", "RATIOS", "PRICE"), [row], wrap=("RATIOS", "PRICE"), spare=("RATIOS",))
        return re.sub(r"\x1b\[[0-9;]*m", "", stream.getvalue()).splitlines()

    return show


@pytest.mark.parametrize(("width", "shown"), [(80, ["MODEL", "RATIOS", "PRICE"]), (44, ["MODEL", "PRICE"])])
def test_a_column_that_can_be_spared_is_left_out_where_a_terminal_is_narrow(
    narrow: Callable[[int], list[str]], width: int, shown: list[str]
) -> None:
    """Where there is room, it is there."""
    header, row, *_ = narrow(width)

    assert (shown, ID) == (header.split(), row.split()[0])


@pytest.mark.parametrize(
    ("width", "header", "model"),
    [(46, "BACKEND MODEL DAY JOBS", ID), (40, "BACKEND MODEL DAY", ID), (32, "BACKEND MODEL DAY", "sora-2-pro-image-…")],
)
def test_columns_that_are_less_needed_go_before_anything_is_cut(
    monkeypatch: pytest.MonkeyPatch, width: int, header: str, model: str
) -> None:
    """A row takes the whole width, to its last column."""
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stdout", Terminal())

    print_table(("BACKEND", "MODEL", "DAY", "JOBS"), [("imini", ID, "Mon", "3")], cut="MODEL", drop=("JOBS",))

    names, row = re.sub(r"\x1b\[[0-9;]*m", "", sys.stdout.getvalue()).splitlines()  # type: ignore[attr-defined]
    assert (header, model) == (" ".join(names.split()), row.split()[1])


def test_the_first_column_stays_in_one_piece_however_narrow_a_terminal_is(narrow: Callable[[int], list[str]]) -> None:
    """An id can be copied from it."""
    assert ID == narrow(26)[1].strip()[: len(ID)]
