"""What a provider offers: models, and what each can do and costs.

All of it is pure. A capability is a *domain*: the set of values a request's field may take on one model. A field whose domain is
`None` cannot be set on that model.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Literal, TypeAlias

import attrs

from genbridge.errors import Problem, RequestError
from genbridge.polling import PollPolicy
from genbridge.types import Certainty, Media, ReferenceRole, Request
from genbridge.words import asked, close_to, did_you_mean, listed

_MOST_NEAR = 3
"""How many models a message asks whether they were meant."""
_MOST_NAMES = 8
"""How many models a message lists."""


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
            return f"{value!r} is " + (
                f"not between {self.low:g} and {self.high:g}" if self.high < math.inf else f"less than {self.low:g}"
            )
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
        if not is_json(value):
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
        return None if is_json(value) else f"{value!r} cannot be written as JSON"


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
class Limits:
    """What a service allows an account; `None` where it does not say.

    At most `submits` in any `per` seconds, and `concurrent` jobs at once.
    """

    submits: int | None = None
    per: float = 60.0
    concurrent: int | None = None

    def over(self, other: Limits) -> Limits:
        """Return these limits, and the other's where these say nothing."""
        rate = self if self.submits is not None else other
        return Limits(
            submits=rate.submits, per=rate.per, concurrent=other.concurrent if self.concurrent is None else self.concurrent
        )


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
    limits: Limits = Limits()
    """What the service allows of this model alone, beside the limits of the account."""

    def default(self, field: str) -> Any:
        """Return what the service takes for a field that is left out, where that is documented."""
        domain = getattr(self.capabilities, field, None)
        return None if domain is None else domain.default


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
    media_limits: Mapping[Media, Limits] = attrs.field(factory=dict, hash=False)
    """What the service allows of one medium alone, beside the limits of the account."""
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
    usable = [model for model in models if model.media is request.media and not model.unavailable]
    names = [model.id for model in usable]
    closed = next((model.unavailable for model in models if model.media is request.media and model.unavailable), None)
    if request.model is None or not usable:
        return f"{where} makes no {request.media}s{': ' + closed if closed else ''}"
    if any(request.model in (model.id, model.provider_id) for model in models):
        return f"{request.model!r} does not make {request.media}s on {where}; those that do: {_some(names)}"
    near = asked(_near(usable, request.model)) or f"; it has {_some(names)}"
    return f"{where} has no {request.media} model {request.model!r}{near}"


def _near(models: Iterable[Model], name: object) -> Iterable[str]:
    """Return the models that somebody may have meant by a name, also by one of the provider's."""
    called = {known: model.id for model in models for known in (*model.aliases, model.provider_id, model.id)}
    return list(dict.fromkeys(called[known] for known in close_to(name, called, most=6)))[:_MOST_NEAR]


def _some(names: Sequence[str]) -> str:
    """List names, of many only the first."""
    more = len(names) - _MOST_NAMES
    return listed(names) if more <= 0 else f"{listed(names[:_MOST_NAMES])} and {more} more"


def is_json(value: object) -> bool:
    """Whether a value can be sent as JSON: no half characters, no infinite numbers, nothing that JSON has not."""
    match value:
        case None | bool() | int():
            return True
        case str():
            return value.isascii() or not any("\ud800" <= character <= "\udfff" for character in value)
        case float():
            return math.isfinite(value)
        case list() | tuple():
            return all(is_json(item) for item in value)
        case Mapping():
            return all(isinstance(key, str) and is_json(key) and is_json(item) for key, item in value.items())
    return False
