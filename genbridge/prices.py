"""What a request costs by a model's price list."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from genbridge.catalogue import FIELDS, Model, Price
from genbridge.types import Certainty, Media, Quote, ReferenceRole, Request
from genbridge.words import number


def price(request: Request, model: Model, unit: str) -> Quote:
    """Return what a valid request costs by the model's price list; unknown when the list does not say."""
    effective = _effective(request, model)
    for entry in model.prices:
        if all(effective.get(name) == value for name, value in entry.when.items()):
            return _sum(entry, effective, request, model, unit)
    basis = f"no price is known for {model.id}{_known_prices(model, effective)}"
    return Quote(amount=None, unit=unit, certainty=Certainty.UNKNOWN, basis=basis, model=model.id)


def _known_prices(model: Model, effective: Mapping[str, Any]) -> str:
    """Say what to change so that a price is known: of the entries of the list, what the nearest asks for otherwise."""
    changes = [{name: value for name, value in entry.when.items() if effective.get(name) != value} for entry in model.prices]
    nearest = min(changes, key=len, default={})
    wanted = [f"{name} {value}" if value is not None else f"no {name}" for name, value in nearest.items()]
    return f" as it is asked for; one is known with {' and '.join(wanted)}" if wanted else ""


def _effective(request: Request, model: Model) -> dict[str, Any]:
    options = {option.name: option.domain.default for option in model.capabilities.options} | dict(request.options)
    given = {field: getattr(request, field, None) for field in FIELDS}
    fields = {field: model.default(field) if value is None else value for field, value in given.items()}
    roles = {str(role): any(reference.role is role for reference in request.references) for role in ReferenceRole}
    return {**roles, **options, **fields, "references": bool(request.references)}


def _sum(entry: Price, effective: Mapping[str, Any], request: Request, model: Model, unit: str) -> Quote:
    field = {"call": None, "image": "count", "second": "duration"}[entry.per]
    times = 1 if field is None else effective[field]
    if times is None and field == "duration":
        basis = f"{number(entry.amount)} {unit} a second; the length is not known beforehand"
        return Quote(amount=None, unit=unit, certainty=Certainty.UNKNOWN, basis=basis, model=model.id)
    units, words = _units(entry, times or 1, request)
    sum_in_words = f"{number(entry.amount)} {unit} per {entry.per}" + (f" × {words}" if field else "")
    basis = f"{sum_in_words}; {entry.note}" if entry.note else sum_in_words
    return Quote(amount=entry.amount * units, unit=unit, certainty=entry.certainty, basis=basis, model=model.id)


def _units(entry: Price, times: float, request: Request) -> tuple[float, str]:
    """Return how many units are billed, and that in words."""
    words = f"{times:g}"
    if entry.clips:
        clips = sum(reference.duration or 0.0 for reference in request.references if reference.kind is Media.VIDEO)
        times, words = clips + times, f"({clips:g} + {times:g})"
    if entry.least is not None:
        times, words = max(times, entry.least), f"max({words.strip('()')}, {entry.least:g})"
    return times, words
