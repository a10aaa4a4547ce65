"""The page of the workers says what must be so, of every part of the harness."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "reference" / "fleet.md"
sys.path.append(str(HERE))

from fleet_page import SECTIONS  # noqa: E402 (the harness is a script, and its modules find one another by its directory)

NOTHING = ("lost", "posted twice", "failed", "unknown, for no reason")
"""What there may be none of."""


def counts() -> dict[str, dict[str, str]]:
    """Return the tables of the page, by the heading above each."""
    blocks = re.split(r"^## ", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    return {block.splitlines()[0]: dict(re.findall(r"^\| (.+) \| (.+) \|$", block, flags=re.MULTILINE)) for block in blocks}


def test_every_part_has_its_table() -> None:
    """In the order in which they are run."""
    assert [heading for heading, _ in SECTIONS.values()] == list(counts())


@pytest.mark.parametrize("part", list(SECTIONS))
def test_no_promise_was_broken(part: str) -> None:
    """All jobs were counted, and none was lost, submitted twice, or failed."""
    table = counts()[SECTIONS[part][0]]
    found = {name: value for name, value in table.items() if name.rpartition(": ")[2] in NOTHING}
    assert len(found) % len(NOTHING) == 0
    assert {"0"} == set(found.values())
