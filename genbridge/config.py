"""TOML and environment to values.

One file is read: the one that the caller names, else the one that `GENBRIDGE_CONFIG` names (a file that is named is meant, so
it goes before files that merely lie there), else `./genbridge.toml`, else `genbridge.toml` in the user's config directory. Files
are not merged.

Without a file, or with one that has no `[backends]`, each provider whose key variable is set is a backend under its own name. A
file that has backends has all of them.
"""

from __future__ import annotations

import logging
import os
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, TypeAlias, cast
from urllib.parse import urlsplit

import attrs

from genbridge import keys
from genbridge.addresses import is_loopback
from genbridge.budgets import Budget
from genbridge.catalogue import Limits, Provider
from genbridge.databases import DatabaseUrl
from genbridge.errors import ConfigError, PluginError, Problem
from genbridge.keys import Key
from genbridge.keys import Secret as Secret  # noqa: PLC0414 (whoever makes a `BackendConfig` needs one)
from genbridge.origins import base_url_problem
from genbridge.places import NOWHERE, Place, installed_seams, read_place
from genbridge.tables import Table, join, lines, located, shown
from genbridge.types import Media
from genbridge.words import did_you_mean, listed

_log = logging.getLogger(__name__)

FILE_NAME = "genbridge.toml"
FILE_VARIABLE = "GENBRIDGE_CONFIG"
STATE_VARIABLE = "GENBRIDGE_STATE_DIR"

Preference: TypeAlias = Literal["order", "cheapest"]
_PREFERENCES: tuple[Preference, ...] = ("order", "cheapest")

IN_PROCESS = "in-process"
PROCRASTINATE = "procrastinate"
JOURNAL = "journal"
_ENGINES = (IN_PROCESS, PROCRASTINATE)

_NAME = re.compile(r"\w[\w.-]*")
_PATIENCE = 120.0
_ELSEWHERE = 'write "env:{}" or "file:/path" to keep it out of the file'


@attrs.frozen(kw_only=True)
class PollConfig:
    """How a backend's jobs are polled; seconds. `None` is the provider's own; with `learn` it is by what such jobs took."""

    interval: float | None = None
    learn: bool = True
    timeout: float | None = None


@attrs.frozen(kw_only=True)
class BackendConfig:
    """One account at a provider.

    `key_source` says in words where the key is, or should be, and `key_url` where a person gets one. `base_url` is `None` for the
    provider's own. `patience` is for how many seconds a submit may wait on refusals that pass, such as HTTP 429, and
    `submit_timeout` for how many the answer to one is waited for (`None`: 90). `credit_price` is
    what one of the provider's credits costs, in a currency that all backends share, so that a route can find the cheapest.
    `max_concurrent` and `submits_per_minute` go before the provider's own limits, and so do `limits`: those of the whole backend
    are under the name "", others under a medium's or a model's.
    """

    name: str
    provider: str
    api_key: Secret | None = None
    key_source: str = ""
    key_url: str | None = None
    base_url: str | None = None
    max_concurrent: int | None = None
    submits_per_minute: int | None = None
    limits: Mapping[str, Limits] = attrs.field(factory=dict, hash=False)
    patience: float = _PATIENCE
    submit_timeout: float | None = None
    credit_price: float | None = None
    poll: PollConfig = PollConfig()
    budget: Budget = Budget()
    settings: Mapping[str, str] = attrs.field(factory=dict, hash=False)

    def require_key(self) -> Secret:
        """Return the key; raises `ConfigError` that says where to put one."""
        if self.api_key is None:
            raise ConfigError(f"backend {self.name!r} has no API key: {self.key_advice}")
        return self.api_key

    @property
    def key_advice(self) -> str:
        """What to do so that the backend has a key, in words."""
        kind, _, where = self.key_source.partition(" ")
        todo = {"env": f"set the environment variable {where}", "file": f"put it into the file {where}"}
        advice = todo.get(kind, f'write api_key = "env:VARIABLE" into [{join("backends", self.name)}]')
        return advice + _where_made(self.key_url)


def _where_made(url: str | None) -> str:
    return f" (a key is made at {url})" if url else ""


@attrs.frozen(kw_only=True)
class Route:
    """A named, ordered list of backends, and the rule for choosing among them."""

    name: str
    backends: tuple[str, ...]
    prefer: Preference = "order"


@attrs.frozen(kw_only=True)
class Candidates:
    """The backends that a name stands for, and the rule for choosing among them."""

    name: str
    backends: tuple[BackendConfig, ...]
    prefer: Preference = "order"


@attrs.frozen(kw_only=True)
class JournalConfig:
    """Where the record of jobs is, and what drives and limits them.

    It is in a file at `path` or a database at `url`; where neither is given it is in the default place, and with `memory` nowhere.
    `advice` says what to do first where its place is written somewhere else and is not there yet. `engine` hands jobs to who drives
    them, by default this process for a file, and workers for a database; `limiter` keeps the limits.
    """

    path: Path | None = None
    memory: bool = False
    url: DatabaseUrl | None = None
    advice: str = ""
    _engine: str | None = None
    limiter: str = JOURNAL

    @property
    def engine(self) -> str:
        """The name of what hands jobs to who drives them."""
        return self.engine_of(shared=self.url is not None)

    def engine_of(self, *, shared: bool) -> str:
        """Return that of a journal that machines share, or of one of this machine, wherever it is."""
        return self._engine or (PROCRASTINATE if shared else IN_PROCESS)

    def place(self) -> Path | DatabaseUrl | None:
        """Return where it is: as configured, else `jobs.db` in the state directory; `None` for memory.

        Raises `ConfigError` where that is not known yet.
        """
        if self.memory:
            return None
        if self.advice:
            raise ConfigError(f"{NOWHERE}: {self.advice}")
        return self.url or self.path or state_dir() / "jobs.db"


@attrs.frozen(kw_only=True)
class DownloadConfig:
    """What may be downloaded: at most so many bytes a file, and whether from private addresses too."""

    max_bytes: int | None = None
    allow_private: bool = False


@attrs.frozen(kw_only=True)
class Config:
    """All of the configuration.

    `absent` are providers that are no backend yet, each with what to do about it. `concerns` are no mistakes and had better be
    mended; they are logged too.
    """

    backends: Mapping[str, BackendConfig] = attrs.field(factory=dict, hash=False)
    routes: Mapping[str, Route] = attrs.field(factory=dict, hash=False)
    default: str | None = None
    journal: JournalConfig = JournalConfig()
    downloads: DownloadConfig = DownloadConfig()
    source: Path | None = None
    absent: Mapping[str, str] = attrs.field(factory=dict, hash=False)
    concerns: tuple[Problem, ...] = ()

    def candidates(self, name: str | None = None) -> Candidates:
        """Return the backends that a backend's or route's name stands for; `None` is the default, or the only backend.

        Raises `ConfigError` for a name that is none, and when there is no backend at all.
        """
        name = self._default_name() if name is None else str(name)
        route = self.routes.get(name)
        if route is None:
            return Candidates(name=name, backends=(self._backend(name),))
        return Candidates(name=name, backends=tuple(self._backend(each) for each in route.backends), prefer=route.prefer)

    def _default_name(self) -> str:
        if self.default is not None:
            return self.default
        if not self.backends:
            raise self._nothing()
        if len(self.backends) > 1:
            raise ConfigError(f"which backend? Name one of {self._names()}, or set default in {self.source or FILE_NAME}")
        return next(iter(self.backends))

    def _backend(self, name: str) -> BackendConfig:
        if name in self.backends:
            return self.backends[name]
        if name in self.absent:
            raise ConfigError(f"there is no backend {name!r}: {self.absent[name]}")
        if not self.backends:
            raise self._nothing()
        near = did_you_mean(name, [*self.backends, *self.routes]) or f"; there are {self._names()}"
        raise ConfigError(f"there is no backend or route {name!r}{near}")

    def _names(self) -> str:
        return listed([*self.backends, *self.routes])

    def _nothing(self) -> ConfigError:
        problems = [Problem(name, what) for name, what in self.absent.items()]
        message = (
            f"no backend is configured: set a provider's environment variable, or name a backend in {self.source or FILE_NAME}, "
            "or try it without a key in the sandbox (--sandbox, Client.sandbox())"
        )
        return ConfigError(message, problems=problems)


def state_dir(env: Mapping[str, str] = os.environ) -> Path:
    """Return where jobs are recorded by default: `GENBRIDGE_STATE_DIR`, else genbridge's own in the user's state directory."""
    if given := env.get(STATE_VARIABLE):
        return Path(given)
    from platformdirs import user_state_path  # noqa: PLC0415 (only where no place is given)

    return user_state_path("genbridge", appauthor=False)


def missing_keys(config: Config) -> tuple[Problem, ...]:
    """Return each backend that has no key yet, with what to do; loading such a configuration is no error, using that backend is."""
    found = [backend for backend in config.backends.values() if backend.api_key is None]
    return tuple(Problem(join(join("backends", backend.name), "api_key"), f"no key: {backend.key_advice}") for backend in found)


def missing_place(config: Config) -> tuple[Problem, ...]:
    """Return what to do where the place of the record of jobs is not known yet; loading it is no error either."""
    return (Problem("journal.path", f"no place: {config.journal.advice}"),) if config.journal.advice else ()


def load(
    path: Path | str | None = None,
    *,
    env: Mapping[str, str] = os.environ,
    cwd: Path | None = None,
    user_dir: Path | None = None,
    providers: Mapping[str, Provider] | None = None,
) -> Config:
    """Find and read the configuration.

    `cwd` and `user_dir` are the two directories that are searched; `providers` are what may be named (by default, what is
    installed), where looking one up may raise `PluginError`, which then concerns only the backends that name it. Raises
    `ConfigError` with every mistake.
    """
    if providers is None:
        from genbridge.plugins import installed  # noqa: PLC0415 (reading what is installed takes time)

        providers = installed.providers()
    source = find_file(path, env=env, cwd=cwd, user_dir=user_dir)
    text = "" if source is None else _read(source)
    config, problems = parse(_document(text, source), source=source, env=env, providers=providers)
    if problems:
        raise _mistakes(problems, source, text)
    return config


def load_journal(
    path: Path | None = None, *, env: Mapping[str, str] = os.environ, cwd: Path | None = None, user_dir: Path | None = None
) -> JournalConfig:
    """Find the configuration, as `load` does, and read no more of it than where the record of jobs is.

    No provider is looked up, and a mistake elsewhere in the file is none here. Raises `ConfigError`.
    """
    source = find_file(path, env=env, cwd=cwd, user_dir=user_dir)
    text = "" if source is None else _read(source)
    file = Table(_document(text, source))
    journal = _journal(file.table("journal"), _Surroundings(env=env, providers={}, names=(), source=source))
    if file.problems:
        raise _mistakes(file.problems, source, text)
    return journal


def _mistakes(problems: Iterable[Problem], source: Path | None, text: str) -> ConfigError:
    problems = list(dict.fromkeys(problems))
    where, count = lines(text), f"{len(problems)} mistakes" if len(problems) > 1 else "1 mistake"
    return ConfigError(f"{source or 'the environment'} has {count}", problems=[located(problem, where) for problem in problems])


def find_file(
    path: Path | str | None = None, *, env: Mapping[str, str], cwd: Path | None = None, user_dir: Path | None = None
) -> Path | None:
    """Return the file to read, or `None` when there is none; raises `ConfigError` when one is named and is not there."""
    if named := path or env.get(FILE_VARIABLE):
        file = (cwd or Path()) / _expanded(named)
        if not os.path.exists(file):  # noqa: PTH110 (it is quiet about directories that may not be looked into)
            raise ConfigError(f"{file} cannot be found; {'check the path' if path else f'correct or unset {FILE_VARIABLE}'}")
        return file.absolute()
    places = (cwd or Path(), user_dir or _user_dir())
    found = next((place / FILE_NAME for place in places if os.path.exists(place / FILE_NAME)), None)  # noqa: PTH110
    return found and found.absolute()


def _expanded(path: Path | str) -> Path:
    with suppress(ValueError):  # no name of a user: whoever opens it is told
        return Path(os.path.expanduser(path))  # noqa: PTH111 (it leaves `~nobody` as it is instead of raising)
    return Path(path)


def _user_dir() -> Path:
    from platformdirs import user_config_path  # noqa: PLC0415 (only where the caller names no directory)

    return user_config_path("genbridge", appauthor=False)


def _read(source: Path) -> str:
    # Raised outside of `except`: these errors carry the file's text, and with it perhaps a key.
    trouble = ""
    try:
        return source.read_bytes().decode("utf-8-sig")
    except IsADirectoryError:
        trouble = "it is a directory; name the file in it"
    except UnicodeDecodeError as error:
        trouble = f"byte {error.start} is not UTF-8; save it as UTF-8"
    except OSError as error:
        trouble = error.strerror or type(error).__name__
    raise ConfigError(f"{source} cannot be read: {trouble}")


def _document(text: str, source: Path | None) -> dict[str, Any]:
    trouble = ""
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        trouble = str(error)
    raise ConfigError(f"{source} has 1 mistake", problems=[Problem("", f"it is not valid TOML: {trouble}")])


@attrs.frozen(kw_only=True)
class _Surroundings:
    """What a file's values are read against."""

    env: Mapping[str, str]
    providers: Mapping[str, Provider]
    names: tuple[str, ...]
    """The providers' names, so that asking for one loads none."""
    source: Path | None
    concerns: list[Problem] = attrs.field(factory=list)
    """What is no mistake and had better be mended."""

    def variable(self, name: str | None) -> str:
        """Return the value of an environment variable, stripped; empty when it is not set."""
        return self.env.get(name, "").strip() if name else ""

    def path(self, text: str) -> Path:
        """Return a path as the file means it: relative to the file's own directory."""
        folder = Path() if self.source is None else self.source.parent
        return folder / _expanded(text)

    def warn(self, table: Table, name: str, message: str) -> None:
        """Record what had better be mended at a key, and log it."""
        concern = Problem(join(table.place, name), message)
        self.concerns.append(concern)
        _log.warning("%s: %s", self.source, concern)


def parse(
    document: Mapping[str, Any], *, source: Path | None, env: Mapping[str, str], providers: Mapping[str, Provider]
) -> tuple[Config, list[Problem]]:
    """Read a parsed file, empty when there is none, and return what it says and everything that is wrong with it."""
    around = _Surroundings(env=env, providers=providers, names=tuple(providers), source=source)
    file = Table(document)
    absent = {} if document.get("backends") else _absent(around)
    tables = file.table("backends").tables() if document.get("backends") else _tables_of_environment(file, around, absent)
    backends = {name: _backend(name, table, around) for name, table in tables.items()}
    config = Config(
        backends=backends,
        routes=_routes(file.table("routes"), backends, absent),
        default=file.text("default"),
        journal=_journal(file.table("journal"), around),
        downloads=_downloads(file.table("downloads")),
        source=source,
        absent=absent,
        concerns=tuple(around.concerns),
    )
    _check_names(config, file)
    file.close()
    return config, file.problems


def _tables_of_environment(file: Table, around: _Surroundings, absent: Iterable[str]) -> dict[str, Table]:
    """Return a backend's table for each provider whose key is set: it says no more than the provider's name."""
    file.table("backends")
    names = [name for name in around.names if name not in absent]
    return {name: Table({"provider": name}, join("backends", name), file.problems) for name in names}


def _absent(around: _Surroundings) -> dict[str, str]:
    """Return the providers that the environment makes no backend of, with what to do about it."""
    found = {}
    for name in around.names:
        try:
            provider = around.providers[name]
        except PluginError as error:
            found[name] = error.message
            continue
        if not around.variable(provider.key_variable):
            found[name] = f"set the environment variable {provider.key_variable}{_where_made(provider.key_url)}"
    return found


def _check_names(config: Config, file: Table) -> None:
    for kind, names in (("backends", config.backends), ("routes", config.routes)):
        for name in names:
            if not _NAME.fullmatch(name):
                message = f"{shown(name)} cannot be a name; use letters, digits, '.', '_' and '-'"
                file.table(kind).wrong_name(name, message)
    known = [*config.backends, *config.routes, *config.absent]
    if config.default is not None and config.default not in known:
        near = did_you_mean(config.default, known) or f"; there are {listed(known) or 'none'}"
        file.wrong("default", f"{shown(config.default)} is no backend and no route{near}")


def _backend(name: str, table: Table, around: _Surroundings) -> BackendConfig:
    named = table.text("provider") or ""
    provider = _provider(named, table, around)
    key = _key(table, provider, around)
    patience = table.number("patience")
    backend = BackendConfig(
        name=name,
        provider=named,
        api_key=key.secret,
        key_source=key.source,
        key_url=provider.key_url if provider else None,
        base_url=_base_url(table, provider, around),
        max_concurrent=table.whole("max_concurrent", least=1),
        submits_per_minute=table.whole("submits_per_minute", least=1),
        limits=_limits(table, provider),
        patience=_PATIENCE if patience is None else patience,
        submit_timeout=table.number("submit_timeout", above=0.0),
        credit_price=table.number("credit_price", above=0.0),
        poll=_poll(table.table("poll")),
        budget=_budget(table.table("budget")),
    )
    settings = _unchecked(table) if provider is None and named in around.names else _settings(table, provider, around)
    table.close(complete=provider is not None)
    return attrs.evolve(backend, settings=settings)


def _provider(name: str, table: Table, around: _Surroundings) -> Provider | None:
    """Return the provider that a backend names; `None` when its package is broken, which is said when the backend is used."""
    if "provider" not in table:
        table.wrong("provider", f"it is missing; name one of {listed(around.names)}")
    elif name in around.names:
        try:
            return around.providers[name]
        except PluginError as error:
            _log.info("%s: %s", table.place, error.message)
    elif isinstance(table.get("provider"), str):
        near = did_you_mean(name, around.names) or f"; installed are {listed(around.names)}"
        table.wrong("provider", f"{shown(name)} is no installed provider{near}")
    return None


def _base_url(table: Table, provider: Provider | None, around: _Surroundings) -> str | None:
    url = table.text("base_url")
    if url is not None:
        return _checked_url(url, table, "base_url")
    variable = provider.base_url_variable if provider else None
    url = around.variable(variable)
    return _checked_url(url, _outside(table), str(variable)) if url else None


def _checked_url(url: str, table: Table, name: str) -> str:
    if problem := base_url_problem(url):
        table.wrong(name, problem)
    return url.rstrip("/")


def _poll(table: Table) -> PollConfig:
    poll = PollConfig(
        interval=table.number("interval", above=0.0),
        learn=table.flag("learn", default=True),
        timeout=table.number("timeout", above=0.0),
    )
    table.close()
    return poll


def _budget(table: Table) -> Budget:
    budget = Budget(
        per_job=table.number("per_job"),
        per_day=table.number("per_day"),
        jobs_per_day=table.whole("jobs_per_day", least=0),
        total=table.number("total"),
        jobs=table.whole("jobs", least=0),
    )
    table.close()
    return budget


def _limits(backend: Table, provider: Provider | None) -> dict[str, Limits]:
    """Return the limits of a backend, of its media and of its models."""
    table = backend.table("limits")
    for name, short in (("submits", "submits_per_minute"), ("concurrent", "max_concurrent")):
        if name in table and short in backend:
            table.wrong(name, f"{short} says this already; keep one of them")
    found = {"": _own_limits(table)}
    for name in [name for name, value in table.unread().items() if isinstance(value, Mapping)]:
        narrow = table.table(name)
        found[_scope(name, table, provider)] = _own_limits(narrow)
        narrow.close()
    table.close()
    return {name: limits for name, limits in found.items() if limits != Limits()}


def _own_limits(table: Table) -> Limits:
    submits, per = table.whole("submits", least=1), table.number("per", above=0.0)
    if per is not None and submits is None:
        table.wrong("per", "it says in how many seconds, and not how many; add submits")
    return Limits(submits=submits, per=60.0 if per is None else per, concurrent=table.whole("concurrent", least=1))


def _scope(name: str, table: Table, provider: Provider | None) -> str:
    """Return what a table of limits is for: a medium, or the canonical name of a model."""
    if name in set(Media) or provider is None:
        return name
    models = {alias: model.id for model in provider.models for alias in (*model.aliases, model.provider_id, model.id)}
    if name not in models:
        table.wrong_name(name, f"{shown(name)} is no medium and no model of {provider.name}{did_you_mean(name, [*Media, *models])}")
    return models.get(name, name)


def _settings(table: Table, provider: Provider | None, around: _Surroundings) -> dict[str, str]:
    """Return the provider's own settings: from the file, else from the environment, else their defaults."""
    known = provider.settings if provider else ()
    return {each.name: table.text(each.name) or around.variable(each.variable) or each.default for each in known}


def _unchecked(table: Table) -> dict[str, str]:
    """Return whatever may be a setting of a provider whose package is broken, so that nobody can say which they are."""
    return {name: table.get(name) for name, value in table.unread().items() if isinstance(value, str)}


def _key(table: Table, provider: Provider | None, around: _Surroundings) -> Key:
    """Return a backend's key, from where its table says or else from its provider's variable."""
    written = table.get("api_key")
    if written is None:
        key = keys.from_variable(provider.key_variable, around.env) if provider else Key()
        return _checked_key(key, _outside(table), provider.key_variable if provider else "")
    if not isinstance(written, str):
        return _checked_key(Key(problem='it is not a string; write "env:VARIABLE" or "file:/path"'), table, "api_key")
    kind, colon, where = (part.strip() for part in written.partition(":"))
    match kind + colon:
        case "env:":
            key = keys.from_variable(where, around.env)
        case "file:":
            key = keys.from_file(where, around.path(where))
        case _:
            key = keys.from_text(written)
            if not _is_here(table.entries.get("base_url")):
                _warn_of_literal(table, provider, around)
    return _checked_key(key, table, "api_key")


def _checked_key(key: Key, table: Table, name: str) -> Key:
    if key.problem:
        table.wrong(name, key.problem)
    return key


def _is_here(base_url: object) -> bool:
    """Whether a backend is on this machine, as the sandbox is, whose key is no secret."""
    return isinstance(base_url, str) and base_url_problem(base_url) is None and is_loopback(urlsplit(base_url).hostname or "")


def _warn_of_literal(table: Table, provider: Provider | None, around: _Surroundings) -> None:
    variable = provider.key_variable if provider else "VARIABLE"
    around.warn(table, "api_key", f"it is a key itself; {_ELSEWHERE.format(variable)}")


def _outside(table: Table) -> Table:
    """Return a table whose places are those of environment variables, and whose mistakes are the same file's."""
    return Table({}, "", table.problems)


def _routes(table: Table, backends: Mapping[str, BackendConfig], absent: Iterable[str]) -> dict[str, Route]:
    found = {}
    for name, route in table.tables().items():
        if name in backends:
            table.wrong(name, "a backend has this name too; give one of them another")
        found[name] = Route(
            name=name,
            backends=_members(route, [*backends, *absent], list(table.entries)),
            prefer=cast("Preference", route.choice("prefer", _PREFERENCES)),
        )
        route.close()
    return found


def _members(route: Table, backends: Sequence[str], routes: Sequence[str]) -> tuple[str, ...]:
    members = route.texts("backends")
    if members == () or "backends" not in route:
        route.wrong("backends", "it is missing or empty; name at least one backend")
    members = members or ()
    for name in dict.fromkeys(members):
        if members.count(name) > 1:
            route.wrong("backends", f"{shown(name)} is named more than once")
        if name in backends:
            continue
        why = "is a route; name backends" if name in routes else f"is no backend{did_you_mean(name, backends)}"
        route.wrong("backends", f"{shown(name)} {why}")
    return members


def _journal(table: Table, around: _Surroundings) -> JournalConfig:
    written = (table.text("path") or "").strip()
    place = Place() if written in {"", ":memory:"} else read_place(written, env=around.env, path=around.path)
    if place.problem:
        table.wrong("path", place.problem)
    url = place.found if isinstance(place.found, DatabaseUrl) else None
    if url is not None and url.has_password and not place.source:
        around.warn(table, "path", f"it holds the password of a database; {_ELSEWHERE.format('GENBRIDGE_JOURNAL')}")
    journal = JournalConfig(
        path=place.found if isinstance(place.found, Path) else None,
        memory=written == ":memory:",
        url=url,
        advice="" if place.found or place.problem or not place.source else place.advice,
        engine=_seam(table, "engine", _ENGINES),
        limiter=_seam(table, "limiter", (JOURNAL,)) or JOURNAL,
    )
    _check_engine(table, journal)
    table.close()
    return journal


def _seam(table: Table, name: str, known: Sequence[str]) -> str | None:
    """Return the name of what is to do something, either built in or from another package."""
    given = table.text(name)
    if given is None or given in known or given in (names := [*known, *installed_seams()]):
        return given
    table.wrong(name, f"{shown(given)} is not installed{did_you_mean(given, names) or f'; genbridge itself has {listed(known)}'}")
    return None


def _check_engine(table: Table, journal: JournalConfig) -> None:
    elsewhere = journal.url is not None or journal.advice or any(problem.field == "journal.path" for problem in table.problems)
    if journal.engine != IN_PROCESS and not elsewhere:
        table.wrong("engine", f"{journal.engine} needs a database; write its URL as path, or leave engine out")


def _downloads(table: Table) -> DownloadConfig:
    downloads = DownloadConfig(
        max_bytes=table.whole("max_bytes", least=1),
        allow_private=table.flag("allow_private", default=False),
    )
    table.close()
    return downloads
