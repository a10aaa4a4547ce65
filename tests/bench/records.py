"""What was found, by contest, client and round; kept as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any, Self

import attrs
from contests import Column, Contest

FAILED = "failed"
"""Under which is kept why a client could not do its work."""


@attrs.frozen
class Range:
    """Some values: the middle, and how far they are apart."""

    values: tuple[float, ...]

    @property
    def middle(self) -> float:
        """The median."""
        return median(self.values)

    def text(self, form: str) -> str:
        """Return the median, and the least and the most where they differ."""
        middle, least, most = (form.format(each) for each in (self.middle, min(self.values), max(self.values)))
        return middle if least == most else f"{middle} ({least}–{most})"


@attrs.define
class Records:
    """The measurements of one run; `about` says where and with what it was made."""

    about: Mapping[str, Any]
    rounds: dict[str, dict[str, list[Any]]] = attrs.field(factory=dict)

    def add(self, contest: Contest, client: str, found: Mapping[str, Any]) -> None:
        """Keep what one round found."""
        self.rounds.setdefault(contest.name, {}).setdefault(client, []).append(dict(found))

    def of(self, contest: Contest) -> Mapping[str, Sequence[Any]]:
        """Return the rounds of a contest, by client."""
        return self.rounds.get(contest.name, {})

    def failure(self, contest: Contest, client: str) -> str:
        """Return why a client could not do its work, or nothing."""
        return next((found[FAILED] for found in self.of(contest).get(client, ()) if FAILED in found), "")

    def values(self, contest: Contest, client: str, column: Column) -> Range | None:
        """Return a figure of a client in every round, or `None` where there is none."""
        found = self.of(contest).get(client)
        if not found or self.failure(contest, client):
            return None
        try:
            return Range(tuple(map(column.of, found)))
        except KeyError:
            return None

    def ratios(self, contest: Contest, client: str, column: Column, base: str) -> Range | None:
        """Return how a figure of a client is to that of another in the same round."""
        ours, theirs = self.values(contest, client, column), self.values(contest, base, column)
        if ours is None or theirs is None:
            return None
        pairs = zip(ours.values, theirs.values, strict=False)
        return Range(tuple(one / (other or float("nan")) for one, other in pairs))

    def write(self, path: Path) -> None:
        """Write them to a file."""
        path.write_text(json.dumps(attrs.asdict(self), indent=1) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read them from a file."""
        return cls(**json.loads(path.read_text(encoding="utf-8")))
