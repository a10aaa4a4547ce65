"""What a provider offers: models, what each can do and costs, and the check of a request against that.

All of it is pure. A capability is a *domain*: the set of values a request's field may take on one model. A field whose domain is
`None` cannot be set on that model.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeAlias
from urllib.parse import urlsplit

import attrs

from genbridge.addresses import is_loopback
from genbridge.errors import Problem, RequestError
from genbridge.polling import PollPolicy
from genbridge.types import Certainty, Media, Quote, Reference, ReferenceRole, Request


def did_you_mean(word: object, known: Iterable[str]) -> str:
    """Return `; did you mean 'x'?` for a word close to a known one, else nothing."""
    close = get_close_matches(str(word), list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def listed(values: Iterable[object]) -> str:
    """Return values as a list in words."""
    return ", ".join(str(value) for value in values)


def _tuple(values: Iterable[Any]) -> tuple[Any, ...]:
    return tuple(values)  # `tuple` itself is a converter that mypy cannot give an argument's type


# Domains: `problem` names what is wrong with a value, or returns `None`; `default` is what the service takes when it is left out.


@attrs.frozen
class Choice:
    """One of some values."""

    values: tuple[Any, ...] = attrs.field(converter=_tuple)
    default: Any = attrs.field(default=None, kw_only=True)

    def problem(self, value: object) -> str | None:
        """Name what is wrong with a value."""
        if any(value == known and _kind(value) is _kind(known) for known in self.values):
            return None
        near = did_you_mean(value, [known for known in self.values if isinstance(known, str)])
        return f"{value!r} is not one of {listed(self.values)}{near}"


def _kind(value: object) -> type:
    """Return a value's type, with all plain numbers as one: `True` is not 1, and a `Decimal` no number that JSON has."""
    return float if type(value) is int else type(value)


@attrs.frozen
class Range:
    """A number between two bounds, both included; `step=None` takes fractions."""

    low: float
    high: float
    step: float | None = attrs.field(default=1, kw_only=True)
    default: float | None = attrs.field(default=None, kw_only=True)

    def problem(self, value: object) -> str | None:
        """Name what is wrong with a value."""
        if isinstance(value, bool) or not isinstance(value, int | float) or (isinstance(value, float) and not math.isfinite(value)):
            return f"{value!r} is not a number"
        if not self.low <= value <= self.high:
            return f"{value!r} is not between {self.low:g} and {self.high:g}"
        if self.step is not None and _between_steps(value - self.low, self.step):
            return (
                f"{value!r} is not a whole number"
                if self.step == 1
                else f"{value!r} is not in steps of {self.step:g} from {self.low:g}"
            )
        return None


def _between_steps(distance: float, step: float) -> bool:
    rest = distance % step
    return min(rest, step - rest) > step * 1e-9  # 0.1 has no exact form in binary: 0.3 % 0.1 is nearly 0.1


@attrs.frozen
class Text:
    """A string, of a certain form where `pattern` gives one; `hint` says it in words."""

    pattern: str | None = None
    hint: str = attrs.field(default="", kw_only=True)
    most: int | None = attrs.field(default=None, kw_only=True)
    """The most characters."""
    default: str | None = attrs.field(default=None, kw_only=True)

    def problem(self, value: object) -> str | None:
        """Name what is wrong with a value."""
        if not isinstance(value, str):
            return f"{value!r} is not a string"
        if not _is_json(value):
            return f"{value!r} has a character that cannot be sent (half of a surrogate pair)"
        if self.most is not None and len(value) > self.most:
            return f"it has {len(value)} characters, the most is {self.most}"
        if self.pattern is not None and not re.fullmatch(self.pattern, value):
            return f"{value!r} is not {self.hint or 'of the form ' + self.pattern}"
        return None


@attrs.frozen
class Anything:
    """Any JSON value; what it may be is not documented."""

    default: ClassVar[None] = None

    def problem(self, value: object) -> str | None:
        """Name what is wrong with a value."""
        return None if _is_json(value) else f"{value!r} cannot be written as JSON"


@attrs.frozen
class Group:
    """An object with options of its own."""

    options: tuple[Option, ...] = attrs.field(converter=_tuple)
    default: ClassVar[None] = None

    def problem(self, value: object) -> str | None:
        """Name what is wrong with a value."""
        if not isinstance(value, Mapping):
            return f"{value!r} is not a table of options"
        problems = check_options(value, self.options)
        return "; ".join(str(problem) for problem in problems) or None


Domain: TypeAlias = Choice | Range | Text | Anything | Group


@attrs.frozen
class Option:
    """A provider's own field, by the provider's own name."""

    name: str
    domain: Domain
    description: str = ""


def check_options(options: Mapping[str, Any], known: Sequence[Option]) -> Iterator[Problem]:
    """Check a provider's own fields against those it declares."""
    by_name = {option.name: option for option in known}
    for name, value in options.items():
        option = by_name.get(name)
        if option is None:
            near = did_you_mean(name, by_name)
            yield Problem(
                str(name), f"unknown option{near}" if near or not by_name else f"unknown option; known are {listed(by_name)}"
            )
        elif isinstance(option.domain, Group) and isinstance(value, Mapping):
            yield from (Problem(f"{name}.{each.field}", each.message) for each in check_options(value, option.domain.options))
        elif problem := option.domain.problem(value):
            yield Problem(name, problem)


@attrs.frozen(kw_only=True)
class ReferenceRule:
    """How many references of a role and kind a model takes, and of what sort.

    `seconds` bounds one clip and `total_seconds` all of them. `suffixes` and `most_bytes` are checked on local files; `local` says
    whether a local file can be used at all (through the `upload` hook). `schemes` are what a URL may begin with.
    """

    role: ReferenceRole
    kind: Media = Media.IMAGE
    least: int = 0
    most: int = 1
    seconds: tuple[float, float] | None = None
    total_seconds: float | None = None
    needs_duration: bool = False
    suffixes: tuple[str, ...] = ()
    most_bytes: int | None = None
    local: bool = True
    schemes: tuple[str, ...] = ("https",)


@attrs.frozen(kw_only=True)
class Capabilities:
    """What a model takes. Each of the first fields is the domain of the request's field of that name."""

    aspect_ratio: Domain | None = None
    size: Domain | None = None
    resolution: Domain | None = None
    quality: Domain | None = None
    duration: Domain | None = None
    count: Domain | None = None
    seed: Domain | None = None
    audio: Domain | None = None
    watermark: Domain | None = None
    return_last_frame: Domain | None = None
    prompt_limit: int | None = None
    """The most characters a prompt may have."""
    prompt_required: bool = True
    references: tuple[ReferenceRule, ...] = ()
    most_references: int | None = None
    """The most references of all roles together, per kind of file."""
    options: tuple[Option, ...] = ()


FIELDS = (
    "aspect_ratio",
    "size",
    "resolution",
    "quality",
    "duration",
    "count",
    "seed",
    "audio",
    "watermark",
    "return_last_frame",
)
"""The request fields that have a domain."""


@attrs.frozen(kw_only=True)
class Price:
    """What one unit costs, in the provider's credits, when the request's fields (defaults filled in) are as in `when`.

    `per` is what the amount is for. `when` may name any request field or option, `references`: whether there are any, and a
    reference's role, such as `extend`: whether there are any of it. `clips` says that the seconds of reference videos are billed
    as well, and `least` how many units are billed at the least. `note` says what is not known about it, and `source` is the
    document it is from.
    """

    amount: float
    per: Literal["call", "image", "second"] = "call"
    when: Mapping[str, Any] = attrs.field(factory=dict)
    clips: bool = False
    least: float | None = None
    certainty: Certainty = Certainty.EXACT
    note: str = ""
    source: str = ""


@attrs.frozen(kw_only=True)
class Model:
    """One model of a provider. `id` is canonical, `provider_id` the provider's own; `expected` the usual seconds it takes.

    `unavailable` says why a model that is announced cannot be used yet.
    """

    id: str
    provider_id: str
    media: Media
    title: str = ""
    aliases: tuple[str, ...] = ()
    capabilities: Capabilities = Capabilities()
    prices: tuple[Price, ...] = ()
    expected: float | None = None
    unavailable: str | None = None
    live: bool = False
    """Whether it was read from the service just now, not from the plugin's own table."""

    def default(self, field: str) -> Any:
        """Return what the service takes for a field that is left out, where that is documented."""
        domain = getattr(self.capabilities, field, None)
        return None if domain is None else domain.default


@attrs.frozen(kw_only=True)
class Limits:
    """What a service allows an account; `None` where it does not say.

    At most `submits` in any `per` seconds, and `concurrent` jobs at once.
    """

    submits: int | None = None
    per: float = 60.0
    concurrent: int | None = None


@attrs.frozen(kw_only=True)
class Setting:
    """A provider's own entry in a backend's table of the config file."""

    name: str
    description: str
    variable: str | None = None
    """The environment variable that gives it when the file does not."""
    default: str = ""


@attrs.frozen(kw_only=True)
class Provider:
    """What a provider says of itself.

    `key_variable` is the environment variable with the key and `key_url` where a person gets one. The key is sent as `auth_header`
    with `auth_prefix` before it. `refusals` are the HTTP statuses that mean, of a submit, that nothing was started. The first model
    of a medium is the default for requests that name none.
    """

    name: str
    base_url: str
    key_variable: str
    title: str = ""
    key_url: str | None = None
    base_url_variable: str | None = None
    """The environment variable by which the service's own client takes another base URL."""
    auth_header: str = "Authorization"
    auth_prefix: str = "Bearer "
    unit: str = "credits"
    poll: PollPolicy = PollPolicy()
    limits: Limits = Limits()
    models: tuple[Model, ...] = attrs.field(default=(), converter=_tuple)
    settings: tuple[Setting, ...] = attrs.field(default=(), converter=_tuple)
    refusals: frozenset[int] = frozenset({400, 401, 402, 403, 404, 405, 410, 413, 415, 422, 429, 451})
    catalogue_ttl: float = 300.0
    """For how many seconds the live catalogue may be kept."""


def find(models: Iterable[Model], name: str | None, media: Media) -> Model | None:
    """Return the model of that name, by canonical id, provider's id or alias; the medium's first when `name` is `None`."""
    usable = [model for model in models if model.media is media]
    if name is None:
        return next((model for model in usable if model.unavailable is None), None)
    for names in (lambda model: (model.id,), lambda model: (model.provider_id,), lambda model: model.aliases):
        for model in usable:
            if name in names(model):
                return model
    return None


def choose(models: Iterable[Model], request: Request, *, where: str) -> Model:
    """Return the model a request is for; raises `RequestError` when `where` (a backend) has no such model."""
    models = tuple(models)
    name: object = request.model
    model = find(models, name, request.media) if name is None or isinstance(name, str) else None
    if model is not None and model.unavailable is None:
        return model
    raise RequestError("the request is not valid", problems=[Problem("model", _no_model(models, request, model, where))])


def _no_model(models: Sequence[Model], request: Request, model: Model | None, where: str) -> str:
    if model is not None:
        return f"{model.id!r} cannot be used on {where}: {model.unavailable}"
    names = [model.id for model in models if model.media is request.media]
    closed = next((model.unavailable for model in models if model.media is request.media and model.unavailable), None)
    if request.model is None or not any(model.media is request.media and not model.unavailable for model in models):
        return f"{where} makes no {request.media}s{': ' + closed if closed else ''}"
    if any(request.model in (model.id, model.provider_id) for model in models):
        return f"{request.model!r} does not make {request.media}s on {where}; those that do: {listed(names)}"
    near = did_you_mean(request.model, names + [model.provider_id for model in models]) or f"; it has {listed(names)}"
    return f"{where} has no model {request.model!r}{near}"


def check(request: Request, model: Model) -> list[Problem]:
    """Return everything that is wrong with a request on a model, as far as its capabilities say."""
    return [
        *_check_prompt(request, model.capabilities),
        *_check_fields(request, model),
        *_check_references(request, model),
        *_check_own_options(request, model.capabilities),
    ]


def _check_prompt(request: Request, capabilities: Capabilities) -> Iterator[Problem]:
    prompt: object = request.prompt
    if not isinstance(prompt, str):
        yield Problem("prompt", f"{prompt!r} is not a string")
    elif not _is_json(prompt):
        yield Problem("prompt", "it has a character that cannot be sent (half of a surrogate pair)")
    elif not prompt.strip() and capabilities.prompt_required:
        yield Problem("prompt", "it is empty; say what you want")
    elif capabilities.prompt_limit is not None and len(prompt) > capabilities.prompt_limit:
        yield Problem("prompt", f"it has {len(prompt)} characters, the most is {capabilities.prompt_limit}")


def _check_fields(request: Request, model: Model) -> Iterator[Problem]:
    for field in FIELDS:
        value = getattr(request, field, None)
        if value is None:
            continue
        domain: Domain | None = getattr(model.capabilities, field)
        if domain is None:
            yield Problem(field, f"{model.id} has no such setting; leave it out")
        elif problem := domain.problem(value):
            yield Problem(field, problem)


def _check_own_options(request: Request, capabilities: Capabilities) -> Iterator[Problem]:
    options: object = request.options
    if not isinstance(options, Mapping):
        yield Problem("options", f"{options!r} is not a table of options")
        return
    for problem in check_options(options, capabilities.options):
        yield Problem(f"options.{problem.field}", problem.message)


def _check_references(request: Request, model: Model) -> Iterator[Problem]:
    references: object = request.references
    if not isinstance(references, tuple):
        yield Problem("references", f"{references!r} is not a list of Reference")
        return
    rules = {(rule.role, rule.kind): rule for rule in model.capabilities.references}
    for index, reference in enumerate(references):
        field = f"references[{index}]"
        if not isinstance(reference, Reference):
            yield Problem(field, f"{reference!r} is not a Reference")
        elif rule := next((rule for key, rule in rules.items() if key == (reference.role, reference.kind)), None):
            yield from _check_reference(field, reference, rule)
        else:
            known = listed(f"{kind} as {role}" for role, kind in rules) or "none"
            yield Problem(field, f"{model.id} takes no {reference.kind} as {reference.role}; it takes: {known}")
    given = [reference for reference in references if isinstance(reference, Reference)]
    for rule in rules.values():
        yield from _check_count(given, rule)
    yield from _check_total(given, model.capabilities.most_references)


def _check_reference(field: str, reference: Reference, rule: ReferenceRule) -> Iterator[Problem]:
    source: object = reference.source
    if isinstance(source, Path):
        if not rule.local:
            yield Problem(field, f"a local {rule.kind} cannot be used here; give a public URL instead of {str(source)!r}")
        elif rule.suffixes and source.suffix.lower() not in rule.suffixes:
            yield Problem(field, f"{source.name!r} is not one of {listed(rule.suffixes)}")
    elif not isinstance(source, str) or not _is_json(source) or not _may_be_reached(source, rule):
        yield Problem(field, f"{_short(source)} is not a public {listed(rule.schemes)} URL; for a local file give a Path")
    yield from _check_seconds(field, reference, rule)


def _may_be_reached(url: str, rule: ReferenceRule) -> bool:
    """Whether a URL is of a kind that the model takes; addresses of this machine are looked at with the backend's own."""
    try:
        parts = urlsplit(url)
        return parts.scheme in rule.schemes or (parts.scheme == "http" and is_loopback(parts.hostname or ""))
    except ValueError:
        return False


def _short(value: object, most: int = 80) -> str:
    text = repr(value)
    return text if len(text) <= most else text[:most] + "…"


def _check_seconds(field: str, reference: Reference, rule: ReferenceRule) -> Iterator[Problem]:
    seconds: object = reference.duration
    if seconds is None:
        if rule.needs_duration:
            yield Problem(f"{field}.duration", "the clip's length in seconds is needed, because it is billed")
    else:
        low, high = rule.seconds or (0.0, rule.total_seconds or math.inf)
        if problem := Range(low, high, step=None).problem(seconds):
            yield Problem(f"{field}.duration", problem)


def _check_count(references: Sequence[Reference], rule: ReferenceRule) -> Iterator[Problem]:
    matching = [reference for reference in references if (reference.role, reference.kind) == (rule.role, rule.kind)]
    if len(matching) > rule.most:
        yield Problem("references", f"{len(matching)} of {rule.kind} as {rule.role} are too many, the most is {rule.most}")
    if len(matching) < rule.least:
        yield Problem("references", f"at least {rule.least} {rule.kind} as {rule.role} is needed")
    total = sum(reference.duration for reference in matching if isinstance(reference.duration, int | float))
    if rule.total_seconds is not None and total > rule.total_seconds:
        message = f"the clips ({rule.kind} as {rule.role}) last {total:g} s together, the most is {rule.total_seconds:g} s"
        yield Problem("references", message)


def _check_total(references: Sequence[Reference], most: int | None) -> Iterator[Problem]:
    for kind in Media:
        count = sum(reference.kind is kind for reference in references)
        if most is not None and count > most:
            yield Problem("references", f"{count} {kind} references are too many, the most is {most}")


def price(request: Request, model: Model, unit: str) -> Quote:
    """Return what a valid request costs by the model's price list; unknown when the list does not say."""
    effective = _effective(request, model)
    for entry in model.prices:
        if all(effective.get(name) == value for name, value in entry.when.items()):
            return _sum(entry, effective, request, model, unit)
    basis = f"no price is known for {model.id}{_known_prices(model)}"
    return Quote(amount=None, unit=unit, certainty=Certainty.UNKNOWN, basis=basis, model=model.id)


def _known_prices(model: Model) -> str:
    """Say which settings there is a price for, so that a caller may choose one."""
    known = [" and ".join(f"{name} {value}" for name, value in entry.when.items()) for entry in model.prices]
    return f" as it was asked for; one is known with {listed(dict.fromkeys(known))}" if known else ""


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
        basis = f"{entry.amount:g} {unit} a second; the length is not known beforehand"
        return Quote(amount=None, unit=unit, certainty=Certainty.UNKNOWN, basis=basis, model=model.id)
    units, words = _units(entry, times or 1, request)
    sum_in_words = f"{entry.amount:g} {unit} per {entry.per}" + (f" × {words}" if field else "")
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


def _is_json(value: object) -> bool:
    match value:
        case None | bool() | int():
            return True
        case str():
            return value.isascii() or not any("\ud800" <= character <= "\udfff" for character in value)
        case float():
            return math.isfinite(value)
        case list() | tuple():
            return all(_is_json(item) for item in value)
        case Mapping():
            return all(isinstance(key, str) and _is_json(key) and _is_json(item) for key, item in value.items())
    return False
