"""What a request costs by a model's price list."""

from __future__ import annotations

from typing import Any

from genbridge.catalogue import FIELDS, Model, Price
from genbridge.types import Certainty, Media, Quote, ReferenceRole, Request
from genbridge.words import number

_ROLES = frozenset(map(str, ReferenceRole))


def price(request: Request, model: Model, unit: str) -> Quote:
    """Return what a valid request costs by the model's price list; unknown when the list does not say."""
    for entry in model.prices:
        if not _mismatches(entry, request, model):
            return _sum(entry, request, model, unit)
    basis = f"no price is known for {model.id}{_known_prices(request, model)}"
    return Quote(amount=None, unit=unit, certainty=Certainty.UNKNOWN, basis=basis, model=model.id)


def _mismatches(entry: Price, request: Request, model: Model) -> dict[str, Any]:
    """Return what an entry of the list is for and the request does not say."""
    return {name: value for name, value in entry.when.items() if _effective(name, request, model) != value}


def _known_prices(request: Request, model: Model) -> str:
    """Say what to change so that a price is known: of the entries of the list, what the nearest asks for otherwise."""
    nearest = min((_mismatches(entry, request, model) for entry in model.prices), key=len, default={})
    wanted = [f"{name} {value}" if value is not None else f"no {name}" for name, value in nearest.items()]
    return f" as it is asked for; one is known with {' and '.join(wanted)}" if wanted else ""


def _effective(name: str, request: Request, model: Model) -> Any:
    """Return what a field or option is, with the default filled in; of references, whether there are any."""
    if name == "references":
        return bool(request.references)
    if name in FIELDS:
        value = getattr(request, name, None)
        return model.default(name) if value is None else value
    if name in request.options:
        return request.options[name]
    defaults = (option.domain.default for option in model.capabilities.options if option.name == name)
    return next(defaults, any(reference.role == name for reference in request.references) if name in _ROLES else None)


def _sum(entry: Price, request: Request, model: Model, unit: str) -> Quote:
    field = {"call": None, "image": "count", "second": "duration"}[entry.per]
    times = 1 if field is None else _effective(field, request, model)
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
