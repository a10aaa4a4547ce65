"""The simulation of the learned schedule reaches its goals, and the page has its figures."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from random import Random

import pytest

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "explanation" / "when-to-ask.md"

# The simulation is a script.
sys.path.insert(0, str(HERE))

from schedule import AFTER, BOUND, FULL, QUICK, SLACK, WORSE, Table, bound, fixed, lines, measured, missed, watch, write  # noqa: E402 (as above)

from genbridge.polling import PollPolicy  # noqa: E402 (as above)

KNOWN = 0.01
"""By how much the bound's goal is missed, in one row, as the page says."""


@pytest.fixture(scope="module")
def tables() -> list[Table]:
    """Simulate little, once."""
    return measured(QUICK)


def on_page(heading: str) -> list[list[str]]:
    """Return the rows of a table of the page."""
    (block,) = re.findall(rf"<!-- table: {heading} -->\n(.*?)<!-- end -->", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    rows = [line for line in block.splitlines() if line.startswith("| ") and not line.startswith("| ---")]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


def test_a_short_run_reaches_the_goals(tables: list[Table]) -> None:
    """With some slack, as it is of few jobs."""
    assert [] == list(missed(tables, SLACK))


def test_the_bound_is_the_one_that_is_known() -> None:
    """As calculated from 200,000 jobs each."""
    assert pytest.approx([0.20, 0.28, 0.36, 0.51, 0.73], abs=0.006) == [bound(spread) for spread in FULL.spreads]


def test_the_fixed_interval_is_the_policy_s() -> None:
    """The short form of it polls at the same times."""
    policy = PollPolicy(interval=3.0, fixed=True)
    expected = [watch(policy, None, seconds, Random(1)) for seconds in (1.0, 90.0)]
    found = [fixed(policy, seconds, Random(1)) for seconds in (1.0, 90.0)]
    assert [(each.polls, pytest.approx(each.latency)) for each in expected] == [(each.polls, each.latency) for each in found]


def test_the_page_has_the_tables(tables: list[Table]) -> None:
    """With all their columns, and a row for all that is simulated in full."""
    for table in tables:
        head, *rows = on_page(table.heading)
        assert list(table.head) == head
        assert {row.names for row in table.rows} <= {tuple(row[: len(table.rows[0].names)]) for row in rows}


def test_the_goals_are_reached_on_the_page() -> None:
    """In the full run that wrote it."""
    after_twenty = [float(row[5]) for row in on_page("to the bound")[1:]]
    rows = [row for heading in ("after a jump", "from nothing", "from a guess") for row in on_page(heading)[1:]]
    worse = [float(cell) for row in rows for cell in row[-len(AFTER) :]]
    assert (10, True) == (len(after_twenty), max(after_twenty) <= BOUND + KNOWN)
    assert max(worse) <= WORSE


def test_writing_the_page_changes_its_tables_alone(tables: list[Table], tmp_path: Path) -> None:
    """And twice is once."""
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- table: with a percentage -->\nold\n<!-- end -->\nafter\n")
    write(page, tables)
    once = page.read_text()
    write(page, tables)
    table = "\n".join(lines(tables[-1]))
    assert (f"before\n<!-- table: with a percentage -->\n\n{table}\n\n<!-- end -->\nafter\n", once) == (once, page.read_text())
