"""What a plugin says of itself: its hooks, its static facts and its models."""

from __future__ import annotations

import inspect
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from urllib.parse import urlsplit

import attrs

from genbridge.catalogue import FIELDS, Group, Model, Option, Price, Provider, ReferenceRule
from genbridge.errors import PluginError
from genbridge.hookspecs import REQUIRED
from genbridge.plugins import SPECS, Plugin, plugin_of
from genbridge.testing.findings import Findings
from genbridge.types import ReferenceRole

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


def check_loading(name: str | None, plugin: object, findings: Findings) -> Plugin | None:
    """Note why genbridge would not load a plugin under a name (its own when `None`); return it when it would."""
    for hook in sorted(set(SPECS) - REQUIRED):
        function = getattr(plugin, hook, None)
        if inspect.isroutine(function) and not hasattr(function, "genbridge_impl"):
            findings.add(hook, "there is a function of that name, but it is not marked with @genbridge.hookimpl")
    try:
        loaded = plugin_of(name, plugin)
    except PluginError as error:
        for problem in error.problems:
            findings.add(problem.field, problem.message)
        return None
    if loaded.supports("models") != loaded.supports("catalogue"):
        findings.add("models", "`models` asks for the live catalogue and `catalogue` reads it: write both or neither")
    return loaded


def check_facts(plugin: Plugin, findings: Findings) -> None:
    """Note what is wrong with the facts that `describe` returns, beyond what keeps a plugin from being loaded."""
    provider = plugin.provider
    with findings.of("describe", "asked for the facts once more"):
        if plugin.call("describe") != provider:
            findings.add("describe", "it returned different facts the second time")
    for model in provider.models:
        check_model(model, "describe", findings)
    for message in (*_facts(provider), *_numbers(provider), *_names(provider)):
        findings.add("describe", message)


def _facts(provider: Provider) -> Iterator[str]:
    key_url = provider.key_url
    if not re.fullmatch("[a-z][a-z0-9_-]*", provider.name):
        yield f"the name {provider.name!r} is not of lower-case letters, digits, '-' and '_'"
    if not provider.base_url.startswith("https://") or provider.base_url.endswith("/"):
        yield f"the base URL {provider.base_url!r} is not an https URL without '/' at its end"
    if not re.fullmatch("[A-Z][A-Z0-9_]*", provider.key_variable):
        yield f"the key variable {provider.key_variable!r} is not of upper-case letters, digits and '_'"
    if key_url is not None and urlsplit(key_url).scheme != "https":
        yield f"the key URL {key_url!r} is not an https URL"
    if not _TOKEN.fullmatch(provider.auth_header):
        yield f"the auth header {provider.auth_header!r} is not a header's name"
    if not any(model.unavailable is None for model in provider.models):
        yield "it has no model that can be used"


def _numbers(provider: Provider) -> Iterator[str]:
    limits = {"limits": provider.limits}
    limits |= {f"media_limits[{media}]": each for media, each in provider.media_limits.items()}
    limits |= {f"the limits of {model.id!r}": model.limits for model in provider.models}
    positive = {"poll.interval": provider.poll.interval, "poll.timeout": provider.poll.timeout}
    positive |= {f"{place}.{name}": value for place, each in limits.items() for name, value in attrs.asdict(each).items()}
    for name, number in positive.items():
        if number is not None and not 0 < number < math.inf:
            yield f"{name} is {number!r}, not a positive number"
    if odd := sorted(status for status in provider.refusals if not 400 <= status <= 599):
        yield f"refusals has {odd}, which are not HTTP errors"


def _names(provider: Provider) -> Iterator[str]:
    for media in sorted({model.media for model in provider.models}):
        models = [model for model in provider.models if model.media is media]
        for what, names in (
            ("provider's ids", [model.provider_id for model in models]),
            ("aliases", [name for model in models for name in {model.id, model.provider_id, *model.aliases}]),
        ):
            if twice := _repeated(names):
                yield f"of the {what} of its {media} models these are there twice: {twice}"
    if twice := _repeated(setting.name for setting in provider.settings):
        yield f"of its settings these are there twice: {twice}"


def _repeated(names: Iterable[object]) -> str:
    return ", ".join(str(name) for name, times in Counter(names).items() if times > 1)


def check_model(model: Model, hook: str, findings: Findings) -> None:
    """Note what is wrong with a model that a hook told of."""
    with findings.of(hook, f"reading the model {model.id!r}"):
        for message in (*_defaults(model), *_rules(model.capabilities.references), *_prices(model)):
            findings.add(hook, f"model {model.id!r}: {message}")


def _defaults(model: Model) -> Iterator[str]:
    if not model.id or not model.provider_id:
        yield "an id is empty"
    if model.expected is not None and not 0 < model.expected < math.inf:
        yield f"the expected time is {model.expected!r}, not a positive number of seconds"
    for field in FIELDS:
        domain = getattr(model.capabilities, field)
        if domain is not None and domain.default is not None and (problem := domain.problem(domain.default)):
            yield f"the default of {field}: {problem}"
    yield from _options(model.capabilities.options, "")


def _options(options: Iterable[Option], where: str) -> Iterator[str]:
    options = tuple(options)
    if twice := _repeated(option.name for option in options):
        yield f"these options{where} are there twice: {twice}"
    for option in options:
        domain = option.domain
        if isinstance(domain, Group):
            yield from _options(domain.options, f" of {option.name!r}")
        elif domain.default is not None and (problem := domain.problem(domain.default)):
            yield f"the default of option {option.name!r}{where}: {problem}"


def _rules(rules: Iterable[ReferenceRule]) -> Iterator[str]:
    rules = tuple(rules)
    if twice := _repeated(f"{rule.kind} as {rule.role}" for rule in rules):
        yield f"there are two rules for the references {twice}"
    for rule in rules:
        if not 0 <= rule.least <= rule.most or rule.most < 1:
            yield f"the rule for {rule.kind} as {rule.role} wants at least {rule.least} and at most {rule.most}"


def _prices(model: Model) -> Iterator[str]:
    known = {*FIELDS, "references", *map(str, ReferenceRole), *(option.name for option in model.capabilities.options)}
    for price in model.prices:
        if not 0 <= price.amount < math.inf:
            yield f"a price is {price.amount!r}"
        if unknown := sorted(set(price.when) - known):
            yield f"the price of {price.amount:g} depends on {', '.join(unknown)}, which no request has"
        yield from _conditions(model, price)


def _conditions(model: Model, price: Price) -> Iterator[str]:
    for field, value in price.when.items():
        domain = getattr(model.capabilities, field) if field in FIELDS else None
        if domain is not None and value is not None and (problem := domain.problem(value)):
            yield f"the price of {price.amount:g} is for a {field} that it does not take: {problem}"
