"""Amounts of money in words, added up for each backend: credits of two are different things."""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from genbridge.types import Certainty, Cost
from genbridge.words import number


@attrs.frozen(kw_only=True)
class Total:
    """What some jobs on one backend cost together: how many have a price, the sum, and how many have none that is known."""

    backend: str
    unit: str = "credits"
    amount: float = 0.0
    estimated: bool = False
    jobs: int = 0
    unpriced: int = 0

    def plus(self, cost: Cost) -> Total:
        """Return it with one more job."""
        if cost.amount is None:
            return attrs.evolve(self, jobs=self.jobs + 1, unpriced=self.unpriced + 1)
        estimated = self.estimated or cost.certainty is not Certainty.EXACT
        return attrs.evolve(self, jobs=self.jobs + 1, amount=self.amount + cost.amount, estimated=estimated)

    def __str__(self) -> str:
        known = f"{'about ' if self.estimated else ''}{number(self.amount)} {self.unit} on {self.backend}"
        if not self.unpriced:
            return known
        unknown = f"{self.unpriced} of unknown price on {self.backend}"
        return unknown if self.unpriced == self.jobs else f"{known} and {unknown}"


def totals(costs: Iterable[tuple[str, Cost]]) -> list[Total]:
    """Add up costs, each with its backend, for each backend and unit on its own, in the order in which they come."""
    found: dict[tuple[str, str], Total] = {}
    for backend, cost in costs:
        key = (backend, cost.unit)
        found[key] = found.get(key, Total(backend=backend, unit=cost.unit)).plus(cost)
    return list(found.values())
