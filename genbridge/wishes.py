"""`Wish`: what the caller of a submit wants of the job beside the request, and what it may cost."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from genbridge.budgets import Budget, Usage, check, exceeds
from genbridge.catalogue import Range
from genbridge.drives import Listener
from genbridge.errors import BudgetError, Problem, RequestError
from genbridge.tries import numbered
from genbridge.types import Job, Quote
from genbridge.words import number

if TYPE_CHECKING:
    from genbridge.backends import Account, Plan
    from genbridge.config import BackendConfig


@attrs.frozen(kw_only=True)
class Wish:
    """What the caller of a submit wants of the job, beside the request.

    With `alone`, no other such POST to a backend that cannot be asked what became of one is under way at the same time, so that
    whatever ends this process leaves one in doubt there at the most. `agreed` are the most credits that it may cost, where somebody
    was told a price: on whichever backend of a route, and also when the price has risen since. `timeout` is for how many seconds
    acceptance by the service is waited for.
    """

    max_cost: float | None = None
    id: str | None = None
    save_to: Path | None = None
    retry_failed: bool = False
    alone: bool = False
    agreed: float | None = None
    observe: Listener | None = None
    timeout: float | None = None

    def of_try(self, number: int) -> Wish:
        """Return it with the id of the try of that number, if the caller gave an id."""
        return self if self.id is None else attrs.evolve(self, id=numbered(self.id, number))


def check_cap(cap: object, name: str = "max_cost") -> None:
    """Raise `RequestError` for a cap that is no amount."""
    if cap is not None and (problem := Range(0, math.inf, step=None).problem(cap)):
        raise RequestError("the request is not valid; nothing was sent", problems=[Problem(name, problem)])


def budget_of(config: BackendConfig, max_cost: float | None) -> Budget:
    """Return the caps of a backend, with the caller's own for one job."""
    if max_cost is None:
        return config.budget
    per_job = [cap for cap in (config.budget.per_job, max_cost) if cap is not None]
    return attrs.evolve(config.budget, per_job=min(per_job, default=None))


def within_price(plans: list[tuple[Account, Plan]], most: float | None) -> list[tuple[Account, Plan]]:
    """Return the plans that cost no more than the most that was agreed to; raises `BudgetError` where none is left."""
    if most is None:
        return plans
    kept = [(account, plan) for account, plan in plans if _is_within(plan.quote, most)]
    if not kept:
        raise _dearer(plans[0][1].quote, most)
    return kept


def check_price(job: Job, config: BackendConfig, wish: Wish) -> None:
    """Raise `BudgetError` where a job on record would be sent for more than the caller, or the backend's cap, has for one."""
    if wish.agreed is not None and not _is_within(job.quote, wish.agreed):
        raise _dearer(job.quote, wish.agreed)
    check(job.backend, job.quote, Budget(per_job=budget_of(config, wish.max_cost).per_job), Usage())


def _is_within(quote: Quote, agreed: float) -> bool:
    return quote.amount is not None and not exceeds(quote.amount, agreed)


def _dearer(quote: Quote, agreed: float) -> BudgetError:
    told = f"it would cost {quote}, and not the {number(agreed)} that was agreed to; nothing was sent"
    return BudgetError(f"{told}. Ask for the price anew", quote=quote)
