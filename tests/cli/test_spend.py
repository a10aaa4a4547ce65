"""`genbridge spend`."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import attrs
import pytest
from screen import Terminal

from genbridge.budgets import Budget, Usage, Used
from genbridge.cli.spend import Cap, Sum, caps, read_since, sums
from genbridge.config import BackendConfig, Config
from genbridge.types import Media, Spent

Cli = Callable[..., Any]

NOON = datetime(2026, 8, 3, 12, 0, tzinfo=UTC)


def spent(**known: Any) -> Spent:
    """Return what some jobs of one day cost."""
    given: dict[str, Any] = {
        "backend": "studio",
        "provider": "acme",
        "model": "painter-1",
        "media": Media.IMAGE,
        "day": date(2026, 8, 1),
        "unit": "credits",
        "jobs": 1,
        "charged": 5.0,
        "estimated": 0.0,
        "reserved": 0.0,
        "unpriced": 0,
    }
    return Spent(**given | known)


BILL = [
    spent(jobs=2, charged=10.0, reserved=5.0),
    spent(day=date(2026, 8, 2), model="filmer-2", media=Media.VIDEO, jobs=3, charged=0.1 + 0.2, estimated=0.1, unpriced=1),
    spent(backend="spare", day=date(2026, 8, 2), charged=1_234_567.0),
    spent(backend="other", provider="emca", charged=7.0),
]


def cells(text: str) -> list[list[str]]:
    """Return the cells of a table."""
    return [re.split(r" {2,}", line) for line in text.splitlines()]


def test_spending_is_shown_by_backend_model_and_day(cli: Cli, client: Any) -> None:
    """With a total for each provider: their credits are different things."""
    client.bill = BILL

    run = cli("spend")

    assert (0, "") == (run.exit_code, run.stderr)
    assert [
        ["BACKEND", "MODEL", "DAY", "JOBS", "CHARGED", "ESTIMATED", "RESERVED", "UNPRICED"],
        ["other", "painter-1", "2026-08-01", "1", "7 credits", "-", "-", "-"],
        ["spare", "painter-1", "2026-08-02", "1", "1234567 credits", "-", "-", "-"],
        ["studio", "filmer-2", "2026-08-02", "3", "0.3 credits", "0.1", "-", "1"],
        ["studio", "painter-1", "2026-08-01", "2", "10 credits", "-", "5", "-"],
        ["total acme", "6", "1234577.3 credits", "0.1", "5", "1"],
        ["total emca", "1", "7 credits", "-", "-", "-"],
    ] == cells(run.stdout)


@pytest.mark.parametrize(
    ("width", "columns"),
    [
        (80, "BACKEND MODEL DAY JOBS CHARGED RESERVED"),
        (90, "BACKEND MODEL DAY JOBS CHARGED ESTIMATED RESERVED"),
        (100, "BACKEND MODEL DAY JOBS CHARGED ESTIMATED RESERVED UNPRICED"),
    ],
)
def test_spending_fits_a_terminal(cli: Cli, client: Any, monkeypatch: pytest.MonkeyPatch, width: int, columns: str) -> None:
    """A line each, with names whole: what says nothing is left out first, and then details."""
    client.bill = [*(attrs.evolve(each, model="seedance-2.0-fast", estimated=1.0) for each in BILL[:1]), *BILL[2:]]
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stdout", Terminal())

    cli("spend")

    header, *rows = re.sub(r"\x1b\[[0-9;]*m", "", sys.stdout.getvalue()).splitlines()  # type: ignore[attr-defined]
    assert (columns, 5) == (" ".join(header.split()), len(rows))
    assert "seedance-2.0-fast" in rows[2]
    assert width >= max(map(len, rows))


def test_a_backend_that_was_moved_to_another_provider_has_a_row_for_each(cli: Cli, client: Any) -> None:
    """Which then say whose they are."""
    client.bill = [spent(charged=10.0), spent(provider="emca", charged=7.0)]

    header, *rows = cells(cli("spend", "--by", "backend").stdout)

    assert ["BACKEND", "PROVIDER", "JOBS"] == header[:3]
    assert [["studio", "acme"], ["studio", "emca"]] == [row[:2] for row in rows[:2]]


def test_the_groups_are_those_that_are_asked_for_in_their_order(cli: Cli, client: Any) -> None:
    """What is not sorted by backend is by provider, so that nothing is added that is not the same."""
    client.bill = BILL

    by_day = cells(cli("spend", "--by", "day", "--by", "day").stdout)
    by_model = cells(cli("spend", "--by", "model", "--by", "backend").stdout)

    assert [["2026-08-01", "acme", "2"], ["2026-08-01", "emca", "1"], ["2026-08-02", "acme", "4"]] == [
        row[:3] for row in by_day[1:4]
    ]
    assert [["MODEL", "BACKEND"], ["filmer-2", "studio"], ["painter-1", "other"]] == [row[:2] for row in by_model[:3]]


def test_spending_can_be_narrowed(cli: Cli, client: Any) -> None:
    """To a backend, and to a time that begins with a day in UTC."""
    client.bill = BILL

    rows = cells(cli("spend", "-b", "studio", "--since", "2026-08-02").stdout)

    assert [["studio", "filmer-2", "2026-08-02", "3"]] == [row[:4] for row in rows[1:-1]]
    assert ("spend", datetime(2026, 8, 2, tzinfo=UTC)) in client.asked


@pytest.mark.parametrize(("text", "expected"), [("2026-07-31", (2026, 7, 31)), ("1d", (2026, 8, 3)), ("7d", (2026, 7, 28))])
def test_a_time_is_a_date_or_a_number_of_days(text: str, expected: tuple[int, int, int]) -> None:
    """Today is one of them."""
    assert datetime(*expected, tzinfo=UTC) == read_since(text, NOON)


@pytest.mark.parametrize("text", ["yesterday", "7", "-3d", "2026-13-01", "999999d", "7h"])
def test_any_other_time_is_wrong_usage(cli: Cli, text: str) -> None:
    """And no traceback."""
    run = cli("spend", f"--since={text}")

    assert (2, "") == (run.exit_code, run.stdout)
    assert "Invalid value for '--since'" in run.stderr


@pytest.mark.parametrize(("words", "expected"), [([], "no job is on record\n"), (["--since", "1d"], "no such job is on record\n")])
def test_nothing_spent_is_said(cli: Cli, words: list[str], expected: str) -> None:
    """On stderr, as it is no result."""
    run = cli("spend", *words)

    assert (0, "", expected) == (run.exit_code, run.stdout, run.stderr)


def test_spending_has_json(cli: Cli, client: Any) -> None:
    """A group that it is not sorted by is null."""
    client.bill = BILL

    document = json.loads(cli("spend", "--by", "day", "--since", "2026-08-02", "--json").stdout)

    assert "2026-08-02T00:00:00+00:00" == document["since"]
    assert [("2026-08-02", None, None, 4)] == [(row["day"], row["backend"], row["model"], row["jobs"]) for row in document["spent"]]
    assert [("acme", None, 1)] == [(row["provider"], row["day"], row["unpriced"]) for row in document["totals"]]
    assert [] == document["caps"]


def test_a_backend_that_nobody_knows_is_a_mistake(cli: Cli, client: Any) -> None:
    """It is neither configured nor on record; one that is on record only is none."""
    run = cli("spend", "-b", "studoi")

    assert (3, "") == (run.exit_code, run.stdout)
    assert "error: no backend 'studoi' is configured or on record; did you mean 'studio'?\n" == run.stderr


def test_no_days_are_no_time(cli: Cli) -> None:
    """Nothing would be shown."""
    assert 2 == cli("spend", "--since", "0d").exit_code


def test_caps_are_shown_with_what_is_left(cli: Cli, client: Any) -> None:
    """Of today and of all."""
    budget = Budget(per_day=20, jobs_per_day=4, total=1_000, jobs=3)
    client.config = Config(backends={"studio": BackendConfig(name="studio", provider="acme", budget=budget)})
    client.bill = [spent()]
    client.used["studio"] = Usage(today=Used(amount=15.0, jobs=2), ever=Used(amount=18.0, jobs=3))

    *_, empty, header, credits_today, jobs_today, credits_ever, jobs_ever = cells(cli("spend").stdout)

    assert ([""], ["BACKEND", "CAP ON", "USED", "MOST", "LEFT"]) == (empty, header)
    assert ["studio", "credits today (UTC)", "15", "20", "5"] == credits_today
    assert ["studio", "jobs today (UTC)", "2", "4", "2"] == jobs_today
    assert ["studio", "credits in all", "18", "1000", "982"] == credits_ever
    assert ["studio", "jobs in all", "3", "3", "0"] == jobs_ever


async def test_a_cap_that_was_lowered_has_nothing_left(client: Any) -> None:
    """And not less than nothing."""
    client.used["studio"] = Usage(today=Used(amount=10.0, jobs=1), ever=Used(amount=10.0, jobs=1))
    backend = BackendConfig(name="studio", provider="acme", budget=Budget(per_day=5))

    assert [Cap(backend="studio", of="per_day", used=10, most=5)] == await caps(client, [backend])


def test_units_are_never_added_together() -> None:
    """Of one provider too."""
    found = list(sums([spent(), spent(unit="USD", charged=1.0)], ()))

    assert [
        Sum(provider="acme", unit="USD", jobs=1, charged=1.0),
        Sum(provider="acme", unit="credits", jobs=1, charged=5.0),
    ] == found
