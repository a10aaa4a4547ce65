"""The reference pages that are lists say what the code says: options, exit codes, JSON, models.

A table between `<!-- table: … -->` and `<!-- end -->` is made from the code. With GENBRIDGE_WRITE_DOCS=1 in the environment, what
is out of date is written anew instead of failing.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import click
import pytest

from genbridge import BudgetError, ImageRequest, Model, Quote, ReferenceRule, Verdict, plugins
from genbridge.batches import Entry
from genbridge.catalogue import FIELDS, Choice, Domain, Range, Text
from genbridge.cli import app
from genbridge.cli.backends import Row
from genbridge.cli.batch import Row as BatchRow
from genbridge.cli.config import check_form
from genbridge.cli.db import table_form
from genbridge.cli.exits import MEANINGS
from genbridge.cli.item import Item
from genbridge.cli.models import model_form, price_words, words
from genbridge.cli.money import Total
from genbridge.cli.output import asset_form, error_form, money_form, problem_form, quoted_form, unrecorded_form, worker_form
from genbridge.cli.spend import Cap, Sum
from genbridge.config import BackendConfig, Config
from genbridge.errors import Problem
from genbridge.journal import Report
from genbridge.types import Asset, Cost, Media
from genbridge.words import listed

REFERENCE = Path(__file__).parent.parent / "docs" / "reference"
PROVIDERS = ("meigen", "imini", "sseedance")
EVERYWHERE = ("sandbox", "config", "journal", "verbose", "json")
"""The options that are described once, for all commands."""


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


def inside(group: click.Group) -> Iterator[tuple[str, click.Command]]:
    """Return the commands of a group, by name."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        yield name, command


def commands() -> Iterator[tuple[str, click.Command]]:
    """Return every command that does something, by its words."""
    for name, command in inside(app):
        if not isinstance(command, click.Group) or command.invoke_without_command:
            yield name, command
        if isinstance(command, click.Group):
            yield from ((f"{name} {word}", each) for word, each in inside(command))


COMMANDS = dict(commands())


def option_row(option: click.Option) -> tuple[str, str]:
    """Return how an option is written, and what it does."""
    choices = listed(option.type.choices) if isinstance(option.type, click.Choice) else ""
    value = option.metavar or (str(option.name).upper() if choices else "DIRECTORY" if option.type.name == "directory" else "N")
    written = "" if option.is_flag or option.count else f" {value}"
    names = ", ".join(f"`{name}{written}`" for name in (*option.opts, *option.secondary_opts))
    return names, f"{option.help} One of {choices}." if choices else str(option.help)


def own_options(command: str) -> list[click.Option]:
    """Return the options that a command has beside those of all commands."""
    return [option for option in COMMANDS[command].params if isinstance(option, click.Option) and option.name not in EVERYWHERE]


def options(command: str) -> str:
    """Return the table of a command's own options."""
    return table(("option", "does"), [option_row(option) for option in own_options(command)])


def everywhere() -> str:
    """Return the table of the options that all commands have."""
    of_one = {option.name: option for option in COMMANDS["generate"].params if isinstance(option, click.Option)}
    return table(("option", "does"), [option_row(of_one[name]) for name in EVERYWHERE])


def exit_codes() -> str:
    """Return the table of exit codes."""
    return table(("code", "means"), [(f"`{int(code)}`", meaning) for code, meaning in MEANINGS.items()])


def models(provider: str) -> str:
    """Return the table of a provider's models."""
    header = ("model", "its own id", "makes", "resolutions", "seconds", "references", "also takes", "options", "price", "usually")
    return table(header, [model_row(model) for model in plugins.installed.load(provider).provider.models])


def model_row(model: Model) -> tuple[str, ...]:
    """Return a model's line in its provider's table."""
    can = model.capabilities
    return (
        f"`{model.id}`",
        f"`{model.provider_id}`",
        model.media,
        words(can.resolution),
        words(can.duration),
        "; ".join(map(reference_words, can.references)) or "-",
        "; ".join(others(model)) or "-",
        ", ".join(f"`{option.name}`" for option in can.options) or "-",
        "not open" if model.unavailable else price_words(model.prices),
        f"{model.expected:g} s" if model.expected else "-",
    )


def reference_words(rule: ReferenceRule) -> str:
    """Return what a rule lets through."""
    kind = f"{'audio track' if rule.kind is Media.AUDIO else rule.kind}{'s' if rule.most > 1 else ''}"
    count = f"up to {rule.most} " if rule.most > 1 else ""
    return f"{'needs ' if rule.least else ''}{count}{kind} as `{rule.role}`"


def others(model: Model) -> Iterator[str]:
    """Return the fields that have no column of their own."""
    for field in FIELDS:
        domain = getattr(model.capabilities, field)
        fixed = isinstance(domain, Choice) and len(domain.values) == 1
        if domain is not None and not fixed and field not in {"aspect_ratio", "resolution", "duration"}:
            yield f"`{field}`" if isinstance(domain, Choice) and True in domain.values else f"`{field}`: {values(domain)}"
    if model.capabilities.prompt_limit is not None:
        yield f"`prompt`: up to {model.capabilities.prompt_limit} characters"


def values(domain: Domain) -> str:
    """Return what a field may be, with whole numbers written out."""
    if isinstance(domain, Range) and domain.high > 1e6:
        return f"{domain.low:.0f} to {domain.high:.0f}"
    return "a size in pixels" if isinstance(domain, Text) else words(domain)


def ratios(provider: str) -> str:
    """Return the table of aspect ratios, and the models that take them."""
    found: dict[str, list[str]] = {}
    for model in plugins.installed.load(provider).provider.models:
        if model.capabilities.aspect_ratio is not None:
            found.setdefault(words(model.capabilities.aspect_ratio), []).append(f"`{model.id}`")
    return table(("ratios", "models"), [(values, ", ".join(names)) for values, names in found.items()])


TABLES: dict[tuple[str, str], Callable[[], str]] = {
    ("cli.md", "options everywhere"): everywhere,
    ("cli.md", "exit codes"): exit_codes,
    **{("cli.md", f"options of {name}"): partial(options, name) for name in COMMANDS if own_options(name) and name != "quote"},
    **{("models.md", f"models of {name}"): partial(models, name) for name in PROVIDERS},
    **{("models.md", f"ratios of {name}"): partial(ratios, name) for name in PROVIDERS},
}
"""What is on the pages between marks, by page and name."""


def pages() -> list[tuple[str, str]]:
    """Return every table that is on a page, by page and name."""
    return [
        (page.name, name)
        for page in sorted(REFERENCE.glob("*.md"))
        for name in re.findall(r"^<!-- table: (.*) -->$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    ]


@pytest.mark.parametrize(("page", "name"), TABLES, ids=lambda part: part)
def test_a_table_on_a_page_says_what_the_code_says(page: str, name: str) -> None:
    """Whoever changes an option, a model or a price changes its page (GENBRIDGE_WRITE_DOCS=1 does it)."""
    path = REFERENCE / page
    text = path.read_text(encoding="utf-8")
    start, end = f"<!-- table: {name} -->\n", "<!-- end -->\n"
    assert start in text
    before, _, rest = text.partition(start)
    shown, _, after = rest.partition(end)
    made = TABLES[page, name]()
    if os.environ.get("GENBRIDGE_WRITE_DOCS"):
        path.write_text(f"{before}{start}{made}\n{end}{after}", encoding="utf-8")
        return
    assert f"{made}\n" == shown


def test_every_table_on_a_page_is_made_from_the_code() -> None:
    """No table says that it is checked and is not."""
    assert set(pages()) == set(TABLES)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_the_options_that_are_described_once(name: str) -> None:
    """What the page says of all commands is true of each; `sandbox` prints no JSON."""
    known = {option.name for option in COMMANDS[name].params}
    assert set(EVERYWHERE) - ({"json"} if name in {"sandbox", "worker"} else set()) <= known


def test_a_quote_takes_what_generate_takes() -> None:
    """The page lists the options that describe a request once."""
    assert {option.name for option in own_options("quote")} < {option.name for option in own_options("generate")}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_its_heading(name: str) -> None:
    """The page describes each command, with its arguments."""
    page = (REFERENCE / "cli.md").read_text(encoding="utf-8")
    arguments = [argument_words(parameter) for parameter in COMMANDS[name].params if isinstance(parameter, click.Argument)]
    assert f"\n## `{' '.join(['genbridge', name, *arguments])}`\n" in page


def argument_words(argument: click.Argument) -> str:
    """Return how an argument is written in a heading."""
    word = argument.metavar or str(argument.name).upper()
    return word if argument.required or word.startswith("[") else f"[{word}]"


# JSON.


def forms() -> dict[str, dict[str, Any]]:
    """Return an example of every object that JSON is made of."""
    request, cost = ImageRequest("a kite"), Cost(amount=1)
    model = plugins.installed.load("sseedance").provider.models[0]
    backend = Row(backend=BackendConfig(name="studio", provider="sseedance"))
    asked = Entry(index=0, id="a", request=request, wish=None, backend="studio")
    entry = BatchRow(item=Item(line=1, request=request), entry=asked)
    return {
        "JOB": unrecorded_form(request, backend=None, quote=Quote(amount=1), error=None),
        "ASSET": asset_form(Asset(url="https://cdn.example/1.png", media=Media.IMAGE)),
        "MONEY": money_form(cost) or {},
        "ENTRY": entry.form(entry.part()),
        "TOTAL": attrs.asdict(Total(backend="studio")),
        "SPENT": Sum(provider="acme", unit="credits").form(),
        "CAP": Cap(backend="studio", of="jobs in all", used=1, most=2).form(),
        "QUOTED": quoted_form(request, None, None, error=None),
        "MODEL": model_form(model, "studio"),
        "BACKEND": backend.form(None),
        "CHECK": check_form(Config(), ()),
        "WORKER": worker_form(Report(host="here", pid=1, version="1", concurrency=1)),
        "TABLE": table_form("genbridge", None, "1"),
        "ERROR": error_form(BudgetError("too dear")),
        "PROBLEM": problem_form(Problem("prompt", "it is empty")),
    }


@pytest.mark.parametrize("name", forms())
def test_the_json_page_has_every_field(name: str) -> None:
    """Each object is described with all its fields, in their order, and no other."""
    page = (REFERENCE / "json.md").read_text(encoding="utf-8")
    section = page.partition(f"\n## {name}\n")[2].partition("\n## ")[0]
    assert sorted(forms()[name]) == sorted(re.findall(r"^\| `(\w+)` \|", section, flags=re.MULTILINE))


# Statuses.


@pytest.mark.parametrize("provider", PROVIDERS)
def test_the_page_on_failed_submits_has_the_statuses_of_a_refusal(provider: str) -> None:
    """What the explanation calls a refusal is one to every built-in provider, and no other status is."""
    page = (REFERENCE.parent / "explanation" / "failed-submits.md").read_text(encoding="utf-8")
    lines = re.findall(r"^\| HTTP ([\d, ]+\d) \| `(\w+)` \|$", page, flags=re.MULTILINE)
    assert [Verdict.REFUSED] == [Verdict[verdict] for _, verdict in lines]
    assert plugins.installed.load(provider).provider.refusals == set(map(int, lines[0][0].split(", ")))
