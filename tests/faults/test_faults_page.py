"""The page of faults says what the scenarios say."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "reference" / "faults.md"

# The harness is a script, and its modules find one another by its directory.
sys.path.insert(0, str(HERE))

from page import SECTIONS  # noqa: E402 (as above)
from rivals import FAULTS, RIVALS  # noqa: E402
from scenarios import COLUMNS, SCENARIOS  # noqa: E402
from script import Step  # noqa: E402

RIVALS_HEADING = "Other clients"


def tables() -> dict[str, list[list[str]]]:
    """Return the rows of the page's tables, the head first, by the heading above each."""
    blocks = re.split(r"^## ", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    return {block.splitlines()[0]: list(_rows(block)) for block in blocks}


def _rows(block: str) -> Iterator[list[str]]:
    for line in block.splitlines():
        if line.startswith("| ") and not line.startswith("| ---"):
            yield [cell.strip() for cell in line.strip("|").split("|")]


def expected(step: Step) -> list[list[str]]:
    """Return the rows of a step when everything holds."""
    columns = COLUMNS[step]
    rows = [
        [scenario.name, *(scenario.expect.cell(column) for column in columns)] for scenario in SCENARIOS if scenario.step is step
    ]
    return [["what goes wrong", *(column.name for column in columns)], *rows]


@pytest.fixture(scope="module")
def page() -> dict[str, list[list[str]]]:
    """Read the page once."""
    return tables()


def test_every_step_has_its_table_and_there_is_no_other(page: dict[str, list[list[str]]]) -> None:
    """In the order of the scenarios, the other clients last."""
    steps = dict.fromkeys(scenario.step for scenario in SCENARIOS)
    assert [*(SECTIONS[step].heading for step in steps), RIVALS_HEADING] == [name for name, rows in page.items() if rows]


@pytest.mark.parametrize("step", list(SECTIONS))
def test_the_page_has_the_scenarios_of_a_step_and_what_must_hold(page: dict[str, list[list[str]]], step: Step) -> None:
    """Whoever changes a scenario runs them all and writes the page anew."""
    assert expected(step) == page[SECTIONS[step].heading]


def test_the_names_of_a_steps_scenarios_differ() -> None:
    """A row of the page is one scenario."""
    names = [(scenario.step, scenario.name) for scenario in SCENARIOS]
    assert sorted(set(names)) == sorted(names)


@pytest.mark.parametrize("fault", list(FAULTS))
def test_other_clients_are_given_a_fault_that_is_tried_with_us_in_the_short_run_too(fault: str) -> None:
    """Or the comparison would not be one."""
    (scenario,) = [each for each in SCENARIOS if each.step is Step.SUBMIT and each.name == FAULTS[fault].scenario]
    assert (1, True) == (scenario.expect.posts, scenario.quick)


def test_every_other_client_was_counted(page: dict[str, list[list[str]]]) -> None:
    """With its version, and one POST where nothing went wrong: else the count would be of something else."""
    head, ours, *theirs = page[RIVALS_HEADING]
    assert ["client", "call", *FAULTS] == head
    assert ["1"] * len(FAULTS) == ours[2:]
    assert [(rival.package, rival.call, "1") for rival in RIVALS] == [(row[0].split()[0], row[1], row[2]) for row in theirs]
    assert all(re.fullmatch(r"\S+ \d+\.\d+\S*", row[0]) for row in (ours, *theirs))
