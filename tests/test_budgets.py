"""Caps on what is submitted."""

from __future__ import annotations

import pytest

from genbridge import BudgetError, Quote
from genbridge.budgets import Budget, Usage, Used, check_all

SPENT = "it would cost about 101 credits; backend 'studio' has spent or reserved"


def would(budget: Budget, *amounts: float | None, today: Used | None = None, ever: Used | None = None) -> str:
    """Return what is wrong with jobs of those prices; nothing when they may be sent."""
    quotes = [Quote(amount=amount, basis="2 per second") for amount in amounts]
    try:
        check_all("studio", quotes, budget, Usage(today=today or Used(), ever=ever or Used()))
    except BudgetError as error:
        return error.message if error.quote in quotes else "an error about another quote"
    return ""


@pytest.mark.parametrize(
    "budget", [Budget(), Budget(per_job=100), Budget(per_day=100), Budget(jobs_per_day=1), Budget(total=100), Budget(jobs=1)]
)
def test_what_a_cap_just_allows_is_allowed(budget: Budget) -> None:
    """To the last credit, and the last job."""
    assert would(budget, 100.0) == ""


@pytest.mark.parametrize(
    ("budget", "words"),
    [
        (Budget(per_job=100), "it would cost about 101 credits, the most for one job is 100; nothing was sent"),
        (Budget(per_day=100), f"{SPENT} 0 today (UTC), the most is 100; nothing was sent"),
        (Budget(total=100), f"{SPENT} 0, the most is 100; nothing was sent"),
        (Budget(jobs_per_day=0), "backend 'studio' has had 0 jobs today (UTC), the most is 0; nothing was sent"),
        (Budget(jobs=0), "backend 'studio' has had 0 jobs, the most is 0; nothing was sent"),
    ],
)
def test_what_is_more_than_a_cap_says_how_much_and_what_the_cap_is(budget: Budget, words: str) -> None:
    """And that nothing was sent."""
    assert words == would(budget, 101.0)


def test_what_was_used_before_counts() -> None:
    """Of today for the day's caps, and of ever for the others."""
    used = Used(amount=60.0, jobs=3)
    assert "reserved 60 today" in would(Budget(per_day=100), 50.0, today=used)
    assert would(Budget(per_day=100), 50.0, ever=used) == ""
    assert "reserved 60," in would(Budget(total=100), 50.0, ever=used)
    assert "had 3 jobs today" in would(Budget(jobs_per_day=3), 1.0, today=used)
    assert "had 3 jobs," in would(Budget(jobs=3), 1.0, ever=used)


def test_several_jobs_count_together() -> None:
    """It is said for how many there is room, and what was used before them."""
    assert would(Budget(per_day=100), 50.0, 50.0) == ""
    room = "backend 'studio' has room for 2 of the 3 jobs under its caps"
    assert f"{room} (used: 0 of 100 credits today (UTC)); nothing was sent" == would(Budget(per_day=100), 50.0, 50.0, 1.0)
    used = Used(amount=7.0, jobs=1)
    caps = Budget(per_day=20, jobs_per_day=9, total=1000, jobs=3)
    said = "used: 7 of 20 credits today (UTC), 1 of 9 jobs today (UTC), 7 of 1000 credits in all, 1 of 3 jobs in all"
    assert f"{room} ({said}); nothing was sent" == would(caps, 5.0, 5.0, 5.0, today=used, ever=used)


@pytest.mark.parametrize("budget", [Budget(per_job=100), Budget(per_day=100), Budget(total=100)])
def test_a_cap_on_credits_refuses_a_price_that_nobody_knows(budget: Budget) -> None:
    """It could not be kept."""
    assert "the price on backend 'studio' is not known (2 per second)" in would(budget, None)


@pytest.mark.parametrize(
    ("budget", "counts"),
    [(Budget(), False), (Budget(per_job=5), False), (Budget(per_day=5), True), (Budget(jobs=0), True), (Budget(total=0), True)],
)
def test_whether_it_matters_what_was_spent_before(budget: Budget, counts: bool) -> None:
    """A cap on one job needs no record."""
    assert counts is budget.looks_back


def test_fractions_of_a_credit_add_up_to_what_they_are() -> None:
    """Three tenths are not more than 0.3, though they are in binary."""
    assert would(Budget(total=0.3), 0.1, 0.1, 0.1) == ""
    assert would(Budget(per_job=0.3), 0.1 * 3) == ""
    assert "the most for one job is 0.3" in would(Budget(per_job=0.3), 0.300001)
