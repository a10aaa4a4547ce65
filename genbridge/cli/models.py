"""`genbridge models`: what each backend offers."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, assert_never

import attrs
import click

from genbridge.catalogue import FIELDS, Anything, Choice, Domain, Group, Model, Price, Range, Text
from genbridge.cli.console import complain, is_dynamic, remark
from genbridge.cli.exits import Exit, exit_for
from genbridge.cli.output import error_form, print_json
from genbridge.cli.session import Session, pass_session, shared, with_json
from genbridge.cli.table import print_table
from genbridge.durations import Usual
from genbridge.errors import GenbridgeError
from genbridge.types import Certainty, Media
from genbridge.words import listed, number, span

if TYPE_CHECKING:
    from genbridge.client import Client

_HEADER = ("MODEL", "MEDIUM", "BACKEND", "RATIOS", "RESOLUTIONS", "SECONDS", "PRICE")
_SPARE = ("RATIOS", "RESOLUTIONS", "SECONDS", "MEDIUM")
_MOST = 4
"""How many values of a list a terminal shows."""


@attrs.frozen(kw_only=True)
class Offer:
    """What one backend offers, or why that cannot be said."""

    backend: str
    models: Sequence[Model] = ()
    usual: Mapping[tuple[str, Media], Usual] = attrs.field(factory=dict)
    """How long its models take, by their id at the service and their medium, as far as that was learned."""
    error: GenbridgeError | None = None


@click.command()
@click.option("-b", "--backend", metavar="BACKEND", help="Only those of one backend.")
@click.option("--no-live", is_flag=True, help="Ask no service; show what the installed packages know.")
@with_json
@shared
@pass_session
@click.pass_context
def models(context: click.Context, session: Session, *, backend: str | None, no_live: bool) -> None:
    """List the models, what they take and what they cost."""

    async def work(client: Client) -> list[Offer]:
        names = [backend] if backend is not None else list(client.config.backends)
        return [await _ask(client, name, live=not no_live) for name in names]

    offers = session.run(work, submits=False)
    _show(session, offers)
    context.exit(max((exit_for(offer.error) for offer in offers if offer.error is not None), default=Exit.OK))


async def _ask(client: Client, backend: str, *, live: bool) -> Offer:
    try:
        models = await client.models(backend, live=live)
    except GenbridgeError as error:
        return Offer(backend=backend, error=error)
    return Offer(backend=backend, models=models, usual=await client.usual(backend))


def _show(session: Session, offers: Sequence[Offer]) -> None:
    errors = [offer.error for offer in offers if offer.error is not None]
    found = [
        (model, offer.backend, offer.usual.get((model.provider_id, model.media))) for offer in offers for model in offer.models
    ]
    if session.json:
        forms = [model_form(model, backend, takes) for model, backend, takes in found]
        print_json({"models": forms, "errors": [error_form(error) for error in errors]})
    elif found:
        most = _MOST if is_dynamic(sys.stdout) else None
        learned = any(takes for *_, takes in found)
        rows = [_row(model, backend, most, _takes(takes) if learned else None) for model, backend, takes in found]
        print_table(
            (*_HEADER[:-1], *(["USUALLY"] if learned else []), _HEADER[-1]),
            rows,
            wrap=("RATIOS", "RESOLUTIONS", "SECONDS", "PRICE"),
            spare=_SPARE,
        )
        for reason in dict.fromkeys(model.unavailable for model, *_ in found if model.unavailable):
            remark(f"unavailable: {reason}")
    elif not errors:
        remark(f"no backend is configured; --sandbox needs none; what could be set: {session.command('backends')}")
    for error in errors:
        complain(error)


def _takes(takes: Usual | None) -> str:
    return span(takes.low, takes.high) if takes else "-"


def _row(model: Model, backend: str, most: int | None, takes: str | None) -> tuple[str, ...]:
    can = model.capabilities
    ratios, sizes, lengths = (words(domain, most) for domain in (can.aspect_ratio, can.resolution or can.size, can.duration))
    price = "unavailable" if model.unavailable else price_words(model.prices)
    return (model.id, model.media, backend, ratios, sizes, lengths, *([takes] if takes else []), price)


def words(domain: Domain | None, most: int | None = None) -> str:
    """Return the values that a field may take, in words; `most` is how many of a list are named."""
    match domain:
        case None:
            return "-"
        case Choice():
            return _choice_words(domain.values, most)
        case Range():
            return f"{domain.low:g} to {domain.high:g}"
        case Text():
            return domain.hint or "text"
        case Anything():
            return "anything"
        case Group():
            return listed(option.name for option in domain.options)
        case _:
            assert_never(domain)


def _consecutive(values: Sequence[Any]) -> bool:
    return all(type(value) is int and value == values[0] + place for place, value in enumerate(values))


def _choice_words(values: Sequence[Any], most: int | None) -> str:
    if len(values) > 2 and _consecutive(values):
        return f"{values[0]} to {values[-1]}"
    named = ["yes" if value is True else "no" if value is False else str(value) for value in values]
    return listed(named if most is None or len(named) <= most + 1 else [*named[:most], f"{len(named) - most} more"])


def price_words(prices: Sequence[Price]) -> str:
    """Return what a model costs, from the cheapest to the dearest of each way it is counted."""
    if not prices:
        return "unknown"
    ways = dict.fromkeys(price.per for price in prices)
    return ", ".join(_span([price for price in prices if price.per == per], per) for per in ways)


def _span(prices: Sequence[Price], per: str) -> str:
    low, high = min(price.amount for price in prices), max(price.amount for price in prices)
    about = "" if all(price.certainty is Certainty.EXACT for price in prices) else "about "
    amounts = number(low) if low == high else f"{number(low)} to {number(high)}"
    return f"{about}{amounts} per {per}"


def model_form(model: Model, backend: str, takes: Usual | None = None) -> dict[str, Any]:
    """Return a model as JSON has it, with how long it usually takes as far as that was learned."""
    can = model.capabilities
    domains = {field: getattr(can, field) for field in FIELDS}
    return {
        "id": model.id,
        "provider_id": model.provider_id,
        "media": model.media.value,
        "backend": backend,
        "title": model.title,
        "aliases": list(model.aliases),
        "unavailable": model.unavailable,
        "expected": model.expected,
        "usual": None if takes is None else {"low": takes.low, "high": takes.high, "late": takes.late},
        "live": model.live,
        "capabilities": {field: words(domain) for field, domain in domains.items() if domain is not None},
        "references": [
            {"role": rule.role.value, "kind": rule.kind.value, "least": rule.least, "most": rule.most} for rule in can.references
        ],
        "options": [
            {"name": option.name, "takes": words(option.domain), "description": option.description} for option in can.options
        ],
        "prices": [
            {"amount": price.amount, "per": price.per, "when": dict(price.when), "certainty": price.certainty.value}
            for price in model.prices
        ],
    }
