"""What may be spent on a backend, and whether one more job would be too much: pure arithmetic.

The journal applies it inside the transaction that records a job, so that it holds over all processes on one journal.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import attrs

from genbridge.errors import BudgetError
from genbridge.types import Quote
from genbridge.words import number

_DIGITS = 6
"""Digits behind the point that count: sums of fractions of a credit are not exact in binary."""


@attrs.frozen(kw_only=True)
class Budget:
    """Caps on what is submitted, in the provider's credits and in jobs; `None` is no cap.

    `per_job` is for one job, `per_day` and `jobs_per_day` are for a day (UTC), `total` and `jobs` for everything on record.
    """

    per_job: float | None = None
    per_day: float | None = None
    jobs_per_day: int | None = None
    total: float | None = None
    jobs: int | None = None

    @property
    def looks_back(self) -> bool:
        """Whether it matters what was spent before."""
        return any(cap is not None for cap in (self.per_day, self.jobs_per_day, self.total, self.jobs))


@attrs.frozen(kw_only=True)
class Used:
    """What jobs have cost or reserve, in the provider's credits, and how many they are."""

    amount: float = 0.0
    jobs: int = 0

    def plus(self, quote: Quote) -> Used:
        """Return it with one more job."""
        return Used(amount=self.amount + (quote.amount or 0.0), jobs=self.jobs + 1)


@attrs.frozen(kw_only=True)
class Usage:
    """What counts against a backend's caps: of today (UTC), and of everything on record."""

    today: Used = Used()
    ever: Used = Used()


def exceeds(amount: float, cap: float) -> bool:
    """Whether an amount is more than a cap, but for what adding up fractions leaves behind."""
    return round(amount, _DIGITS) > round(cap, _DIGITS)


def check(backend: str, quote: Quote, budget: Budget, usage: Usage) -> None:
    """Raise `BudgetError` when one more job at that quote would exceed a cap of a backend."""
    _check_job(backend, quote, budget)
    _check_credits(backend, quote, budget, usage)
    _check_jobs(backend, quote, budget, usage)


def check_all(backend: str, quotes: Sequence[Quote], budget: Budget, usage: Usage) -> None:
    """Raise `BudgetError` when jobs that are sent together would exceed a cap; it says for how many there is room."""
    uses = ", ".join(_uses(budget, usage))
    for room, quote in enumerate(quotes):
        try:
            check(backend, quote, budget, usage)
        except BudgetError as error:
            if len(quotes) == 1 or not uses:
                raise
            message = (
                f"backend {backend!r} has room for {room} of the {len(quotes)} jobs under its caps (used: {uses}); nothing was sent"
            )
            raise BudgetError(message, quote=error.quote) from None
        usage = Usage(today=usage.today.plus(quote), ever=usage.ever.plus(quote))


def _uses(budget: Budget, usage: Usage) -> Iterator[str]:
    """Say how much of each cap is used."""
    for cap, used, what in (
        (budget.per_day, usage.today.amount, "credits today (UTC)"),
        (budget.jobs_per_day, usage.today.jobs, "jobs today (UTC)"),
        (budget.total, usage.ever.amount, "credits in all"),
        (budget.jobs, usage.ever.jobs, "jobs in all"),
    ):
        if cap is not None:
            yield f"{number(used)} of {number(cap)} {what}"


def _check_job(backend: str, quote: Quote, budget: Budget) -> None:
    if quote.amount is None and any(cap is not None for cap in (budget.per_job, budget.per_day, budget.total)):
        raise BudgetError(
            f"the price on backend {backend!r} is not known ({quote.basis}), so a cap on {quote.unit} cannot be kept; nothing was "
            "sent. Choose a model with a known price, or lift the cap",
            quote=quote,
        )
    if budget.per_job is not None and exceeds(quote.amount or 0, budget.per_job):
        raise BudgetError(f"it would cost {quote}, the most for one job is {number(budget.per_job)}; nothing was sent", quote=quote)


def _check_credits(backend: str, quote: Quote, budget: Budget, usage: Usage) -> None:
    for cap, used, when in ((budget.per_day, usage.today, " today (UTC)"), (budget.total, usage.ever, "")):
        if cap is not None and exceeds(used.plus(quote).amount, cap):
            raise BudgetError(
                f"it would cost {quote}; backend {backend!r} has spent or reserved {number(used.amount)}{when}, "
                f"the most is {number(cap)}; nothing was sent",
                quote=quote,
            )


def _check_jobs(backend: str, quote: Quote, budget: Budget, usage: Usage) -> None:
    for cap, used, when in ((budget.jobs_per_day, usage.today, " today (UTC)"), (budget.jobs, usage.ever, "")):
        if cap is not None and used.jobs >= cap:
            message = f"backend {backend!r} has had {used.jobs} jobs{when}, the most is {cap}; nothing was sent"
            raise BudgetError(message, quote=quote)
