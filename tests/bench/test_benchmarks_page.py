"""The page of benchmarks says what was recorded, of what there is to measure."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "reference" / "benchmarks.md"
RECORDED = HERE / "recorded.json"

# The benchmark is a script, and its modules find one another by its directory.
sys.path.insert(0, str(HERE))

from contests import CONTESTS, PEERS, SUBMITS, Contest  # noqa: E402 (as above)
from goals import GOALS, Goal  # noqa: E402
from records import Records  # noqa: E402
from sheet import page  # noqa: E402


@pytest.fixture(scope="module")
def records() -> Records:
    """Read what was recorded once."""
    return Records.read(RECORDED)


def test_the_page_is_what_the_records_say(records: Records) -> None:
    """Whoever changes a figure, a goal or a word writes the page anew: `bench.py --from tests/bench/recorded.json --page …`."""
    assert page(records) == PAGE.read_text(encoding="utf-8")


@pytest.mark.parametrize("contest", CONTESTS, ids=lambda contest: contest.name)
def test_whoever_was_measured_was_measured_as_often_as_the_others(records: Records, contest: Contest) -> None:
    """In the rounds of the long form, with the other clients."""
    found = records.of(contest)
    expected = {client.name: contest.peer_rounds if client.package else contest.rounds for client in contest.clients}
    assert {name: expected[name] for name in found} == {name: len(rounds) for name, rounds in found.items()}
    assert set(found) in (set(), set(expected))


@pytest.mark.parametrize("contest", CONTESTS, ids=lambda contest: contest.name)
def test_every_figure_of_ours_is_there(records: Records, contest: Contest) -> None:
    """A column that no record has would be an empty one."""
    ours = [client.name for client in contest.clients if client.module == "ask_genbridge" and records.of(contest)]
    assert [] == [(name, column.name) for name in ours for column in contest.columns if not records.values(contest, name, column)]


def test_the_page_has_the_long_form(records: Records) -> None:
    """The short one is for a quick look."""
    assert records.about["quick"] is False


@pytest.mark.parametrize("goal", GOALS, ids=lambda goal: f"{goal.number}: {goal.words}")
def test_a_goal_is_on_the_page(goal: Goal, records: Records) -> None:
    """Whether it was reached, or that it was not measured, is what the page is for."""
    _, words, limit, figure, verdict = goal.cells(records)
    assert any(words in line and limit in line and figure in line and verdict in line for line in PAGE.read_text().splitlines())


def test_a_figure_just_at_its_limit_is_enough() -> None:
    """And one beyond it is not, on whichever side that is."""
    goals = [Goal(number="0", words="", figure=lambda _, figure=figure: figure, limit=2, least=least) for figure, least in _EDGES]
    assert [True, False, True, False, None] == [goal.reached(Records({})) for goal in goals]


def test_ratios_are_of_the_same_round() -> None:
    """So that a machine that is busier for a while does both the same."""
    records = Records({})
    for ours, theirs in ((1.0, 2.0), (9.0, 3.0)):
        records.add(SUBMITS, "ours", {"cpu": ours, "posts": 1})
        records.add(SUBMITS, "theirs", {"cpu": theirs, "posts": 1})
    ratios = records.ratios(SUBMITS, "ours", SUBMITS.columns[0], "theirs")
    assert ratios is not None
    assert (0.5, 3.0) == ratios.values


_EDGES = ((2.0, False), (2.1, False), (2.0, True), (1.9, True), (None, True))


def test_the_versions_of_other_clients_are_known(records: Records) -> None:
    """A figure without one would be of nobody knows what."""
    versions = {client.name: records.of(SUBMITS)[client.name][0]["version"] for client in PEERS}
    assert all(versions.values())


def test_the_names_of_contests_differ() -> None:
    """They are what the records are kept under."""
    names = [contest.name for contest in CONTESTS]
    assert sorted(set(names)) == sorted(names)
