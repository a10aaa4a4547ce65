"""`genbridge spend`: what jobs have cost, and how much of the caps is left."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

import attrs
import click

from genbridge.cli.console import remark, say
from genbridge.cli.known import check_known
from genbridge.cli.output import print_json, time_form
from genbridge.cli.session import Session, pass_session, shared, with_json
from genbridge.cli.table import print_table
from genbridge.cli.times import utc_now
from genbridge.types import Spent
from genbridge.words import number

if TYPE_CHECKING:
    from genbridge.client import Client
    from genbridge.config import BackendConfig, Config

GROUPS = ("backend", "model", "day")
_DAYS = re.compile(r"(\d{1,5})d", re.ASCII)
_CAPS = {
    "per_day": "credits today (UTC)",
    "jobs_per_day": "jobs today (UTC)",
    "total": "credits in all",
    "jobs": "jobs in all",
}
"""What people read of each cap."""
_NUMBERS = ("jobs", "charged", "estimated", "reserved", "unpriced")
_NOTHING = "-"
_AMOUNTS = ("JOBS", "CHARGED", "ESTIMATED", "RESERVED", "UNPRICED")


@attrs.frozen(kw_only=True)
class Sum:
    """What some jobs of one provider cost; a group that they are not sorted by is `None`."""

    provider: str
    unit: str
    backend: str | None = None
    model: str | None = None
    day: date | None = None
    jobs: int = 0
    charged: float = 0.0
    estimated: float = 0.0
    reserved: float = 0.0
    unpriced: int = 0

    def form(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return attrs.asdict(self) | {"day": self.day.isoformat() if self.day else None}


@attrs.frozen(kw_only=True)
class Cap:
    """How much of a cap of a backend is used; `of` is what the configuration calls it."""

    backend: str
    of: str
    used: float
    most: float

    def form(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return attrs.asdict(self)


def read_since(text: str, now: datetime) -> datetime:
    """Return the midnight (UTC) with which a date, or the last so many days (`7d`), begin; raises `ValueError` for neither."""
    if (days := _DAYS.fullmatch(text)) and int(days[1]) > 0:
        return _midnight(now.astimezone(UTC).date() - timedelta(days=int(days[1]) - 1))
    try:
        return _midnight(date.fromisoformat(text))
    except ValueError:
        raise ValueError(f"{text!r} is neither a date such as 2026-08-31 nor a number of days such as 7d") from None


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(tzinfo=UTC))


def _since(_context: click.Context, _parameter: click.Parameter, value: str | None) -> datetime | None:
    try:
        return None if value is None else read_since(value, utc_now())
    except (ValueError, OverflowError) as error:
        raise click.BadParameter(str(error)) from None


@click.command()
@click.option(
    "--by", "group", multiple=True, type=click.Choice(GROUPS), help="A row for each of these; else of all three. May be repeated."
)
@click.option(
    "--since", callback=_since, metavar="DATE|DAYS", help="Only jobs since a date (UTC), or of the last days, such as 7d."
)
@click.option("-b", "--backend", metavar="BACKEND", help="Only jobs of a backend.")
@with_json
@shared
@pass_session
def spend(session: Session, *, group: Sequence[str], since: datetime | None, backend: str | None) -> None:
    """Show what was spent, by backend, model and day, and how much of the caps is left; asks no service.

    Credits of different providers are different things and are never added together.
    """

    async def work(client: Client) -> tuple[list[Spent], list[Cap]]:
        await _check_known(client, backend)
        wanted = [spent for spent in await client.spend(since=since) if backend in (None, spent.backend)]
        return wanted, await caps(client, _wanted(client.config, backend))

    by = tuple(dict.fromkeys(group)) or GROUPS
    spent, limits = session.run(work, submits=False)
    rows, totals = list(sums(spent, by)), list(sums(spent, ()))
    if session.json:
        print_json(_form(since, rows, totals, limits))
        return
    if rows:
        _show(rows, totals, by)
    else:
        remark("no such job is on record" if since or backend else "no job is on record")
    _show_caps(limits, apart=bool(rows))


async def _check_known(client: Client, name: str | None) -> None:
    """Raise `ConfigError` for a backend that is neither configured nor on record."""
    if name is not None and name not in client.config.backends:
        check_known(name, [*client.config.backends, *(spent.backend for spent in await client.spend())])


def _form(since: datetime | None, rows: Sequence[Sum], totals: Sequence[Sum], limits: Sequence[Cap]) -> dict[str, Any]:
    return {
        "since": time_form(since),
        "spent": [row.form() for row in rows],
        "totals": [total.form() for total in totals],
        "caps": [cap.form() for cap in limits],
    }


def sums(spent: Iterable[Spent], by: Sequence[str]) -> Iterable[Sum]:
    """Add up what was spent for each group, in their order; never over two providers or units."""
    found: dict[tuple[Any, ...], list[Spent]] = {}
    for each in spent:
        found.setdefault((*(getattr(each, name) for name in by), each.provider, each.unit), []).append(each)
    return [_sum(found[key], by) for key in sorted(found)]


def _sum(spent: Sequence[Spent], by: Sequence[str]) -> Sum:
    first = spent[0]
    group = {name: getattr(first, name) for name in by}
    numbers = {name: sum(getattr(each, name) for each in spent) for name in _NUMBERS}
    return Sum(provider=first.provider, unit=first.unit, **group, **numbers)


# Caps.


def _wanted(config: Config, name: str | None) -> Sequence[BackendConfig]:
    """Return the backends whose caps are of interest; one that is on record and not configured any more has none."""
    return [backend for backend in config.backends.values() if name in (None, backend.name)]


async def caps(client: Client, backends: Iterable[BackendConfig]) -> list[Cap]:
    """Return how much of each configured cap is used."""
    found: list[Cap] = []
    for backend in backends:
        budget = backend.budget
        usage = await client.usage(backend.name)
        found += [
            Cap(backend=backend.name, of=of, used=used, most=most)
            for of, most, used in (
                ("per_day", budget.per_day, usage.today.amount),
                ("jobs_per_day", budget.jobs_per_day, usage.today.jobs),
                ("total", budget.total, usage.ever.amount),
                ("jobs", budget.jobs, usage.ever.jobs),
            )
            if most is not None
        ]
    return found


# For people.


def _show(rows: Sequence[Sum], totals: Sequence[Sum], by: Sequence[str]) -> None:
    groups = {tuple(getattr(row, name) for name in by) for row in rows}
    names = by if "backend" in by and len(groups) == len(rows) else (*by, "provider")
    cells = [(*(str(getattr(row, name)) for name in names), *_amounts(row)) for row in rows]
    cells += [(f"total {total.provider}", *("" for _ in names[1:]), *_amounts(total)) for total in totals]
    header = (*(name.upper() for name in names), *_AMOUNTS)
    print_table(header, cells, cut="MODEL" if "model" in names[1:] else None, drop=_less_needed(header, cells))


def _less_needed(header: Sequence[str], cells: Sequence[Sequence[str]]) -> list[str]:
    """Return the columns that a narrow terminal can do without: those that say nothing, and then details."""
    empty = [name for name, *column in zip(header, *cells, strict=True) if set(column) == {_NOTHING}]
    return list(dict.fromkeys([*empty, "UNPRICED", "ESTIMATED"]))


def _amounts(row: Sum) -> tuple[str, ...]:
    numbers = (number(each) if each else _NOTHING for each in (row.estimated, row.reserved, row.unpriced))
    return (str(row.jobs), f"{number(row.charged)} {row.unit}", *numbers)


def _show_caps(limits: Sequence[Cap], *, apart: bool) -> None:
    if not limits:
        return
    if apart:
        say("")
    cells = [(cap.backend, _CAPS[cap.of], *map(number, (cap.used, cap.most, max(cap.most - cap.used, 0)))) for cap in limits]
    print_table(("BACKEND", "CAP ON", "USED", "MOST", "LEFT"), cells)
