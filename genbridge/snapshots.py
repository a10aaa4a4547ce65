"""What a plugin says of a job, as far as it can be used: a mistake in a number must not lose a job that is paid for."""

from __future__ import annotations

import logging
from operator import attrgetter
from typing import Any

import attrs

from genbridge.types import Cost, Snapshot

_log = logging.getLogger(__name__)

_NUMBERS = ("balance", "progress", "poll_after", "expected")
_TEXTS = ("provider_id", "aspect_ratio", "note")
_numbers, _texts = attrgetter(*_NUMBERS), attrgetter(*_TEXTS)
_HUGE = 1e15


def sound(snapshot: Snapshot) -> Snapshot:
    """Return a snapshot whose numbers and texts are such; what is of another kind is converted, or left out when it cannot be."""
    better: dict[str, Any] = {}
    for name, value in zip(_NUMBERS, _numbers(snapshot), strict=True):
        if value is not None and not _is_number(value):
            better[name] = _number(value)
    for name, value in zip(_TEXTS, _texts(snapshot), strict=True):
        if value is not None and not isinstance(value, str):
            better[name] = str(value)
    if snapshot.cost is not None and snapshot.cost.amount is not None and not _is_number(snapshot.cost.amount):
        better["cost"] = _cost(snapshot.cost)
    if not better:
        return snapshot
    _log.warning("the plugin gives something that is not of its kind as %s; it is taken as far as it can be", ", ".join(better))
    return attrs.evolve(snapshot, **better)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _HUGE


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if _is_number(number) else None


def _cost(cost: Cost) -> Cost | None:
    amount = _number(cost.amount)
    return None if amount is None else attrs.evolve(cost, amount=amount)
