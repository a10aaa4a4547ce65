"""Find, load and check a provider.

A provider is the plugin object that a package's entry point in the group `genbridge.providers` leads to, under the provider's name.
Each is loaded when it is first asked for, into a pluggy manager of its own, so that a broken package hurts only whoever asks for
it. Plugins of the group `genbridge.plugins` wrap the hooks of every provider.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from operator import itemgetter
from threading import RLock
from typing import TYPE_CHECKING, Any

import attrs
import pluggy

from genbridge import hookspecs
from genbridge.catalogue import Model, Provider
from genbridge.errors import GenbridgeError, PluginError, Problem, UnknownProviderError
from genbridge.origins import base_url_problem
from genbridge.types import Quote, Snapshot
from genbridge.wire import Call, Exchange, Reply, as_exchange
from genbridge.words import did_you_mean, listed

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

_log = logging.getLogger(__name__)

PROVIDERS = "genbridge.providers"
"""The entry point group of providers."""
WRAPPERS = "genbridge.plugins"
"""The entry point group of plugins that wrap every provider's hooks."""

_PROJECT = "genbridge"
_EXCHANGE = (Call, Generator)
_ANSWERS: dict[str, tuple[tuple[type, ...], str]] = {
    "describe": ((Provider,), "a Provider"),
    "submit": (_EXCHANGE, "a Call or an exchange"),
    "poll": (_EXCHANGE, "a Call or an exchange"),
    "cancel": (_EXCHANGE, "a Call or an exchange"),
    "recover": (_EXCHANGE, "a Call or an exchange"),
    "models": (_EXCHANGE, "a Call or an exchange"),
    "upload": ((str, Generator), "a URL or an exchange"),
    "normalize": ((Snapshot,), "a Snapshot"),
    "check": ((tuple,), "a list of Problem"),
    "catalogue": ((tuple,), "a list of Model"),
    "quote": ((Quote, type(None)), "a Quote or None"),
}
"""What each hook returns; what is not named here may return anything."""
_REPLY: tuple[tuple[type, ...], str] = ((Reply, Snapshot), "a Reply")
_OUTCOMES: dict[str, tuple[tuple[type, ...], str]] = {
    "upload": ((str,), "a URL"),
    "recover": ((Reply, Snapshot, type(None)), "a Reply or None"),
}
"""What each hook's exchange returns in the end, where it is not a reply."""
_ITEMS: dict[str, type] = {"check": Problem, "catalogue": Model}
"""What is in the lists that hooks return; an iterator is one too, and `None` is an empty one."""
_MOST_CALLS = 100
"""The most calls of one exchange; more are a plugin that does not end."""
_LONGEST = 300
"""Characters of another's error that are repeated."""


def _specs() -> dict[str, tuple[str, ...]]:
    """Return the hooks by name, each with its arguments."""
    functions = inspect.getmembers(hookspecs, inspect.isfunction)
    marked = [(name, function) for name, function in functions if hasattr(function, f"{_PROJECT}_spec")]
    return {name: tuple(inspect.signature(function).parameters) for name, function in marked}


SPECS: Mapping[str, Sequence[str]] = _specs()
"""Every hook's arguments, by its name."""


@attrs.frozen(kw_only=True, eq=False)
class Plugin:
    """A provider that was loaded and checked. `package` is the name of the distribution that it is from."""

    name: str
    package: str
    provider: Provider = attrs.field(repr=False)
    hooks: Mapping[str, Callable[[Mapping[str, Any]], Any]] = attrs.field(repr=False)
    """The hooks that it has itself, each called with its arguments by name."""

    def supports(self, hook: str) -> bool:
        """Whether the provider has a hook; a wrapper around one that it does not have is not enough."""
        return hook in self.hooks

    def call(self, hook: str, **values: Any) -> Any:
        """Call a hook and return what it returns; several values come as a tuple.

        Raises what the hook raises of genbridge's own errors, and `PluginError` for any other, for a hook that the provider does
        not have, and for an answer of another kind than the contract's.
        """
        if hook not in self.hooks:
            raise self._error(f"has no hook {hook!r}")
        try:
            answer = self.hooks[hook](values)
            if hook in _ITEMS and isinstance(answer, Iterable | None):
                answer = tuple(answer or ())
        except GenbridgeError:
            raise
        except Exception as error:
            raise self._failed(hook, error) from error
        if problem := _answer_problem(hook, answer):
            raise self._error(f"has a bug in its hook {hook!r}, which {problem}")
        return answer

    def exchange(self, hook: str, **values: Any) -> Exchange[Any]:
        """Yield the calls that a hook describes, take their replies, and return what they come to; raises as `call` does."""
        step = self.call(hook, **values)
        return (yield step) if isinstance(step, Call) else (yield from self.steps(hook, step))

    def steps(self, hook: str, step: object) -> Exchange[Any]:
        """Do the same with what a hook has returned that is not one call."""
        steps = as_exchange(step)
        reply: Reply | None = None
        for _ in range(_MOST_CALLS):
            with self.blame(hook):
                try:
                    call = steps.send(reply)  # type: ignore[arg-type]  # `None` starts a generator
                except StopIteration as done:
                    return self.outcome(hook, done.value)
                if not isinstance(call, Call):
                    raise TypeError(f"it yielded {type(call).__name__}, not a Call")
            reply = yield call
        raise self._error(f"has a bug in its hook {hook!r}, whose exchange made {_MOST_CALLS} calls and did not end")

    def outcome(self, hook: str, value: object) -> Any:
        """Return what an exchange of a hook has returned; raises `PluginError` when it is of another kind than the contract's."""
        kinds, words = _OUTCOMES.get(hook, _REPLY)
        if not isinstance(value, kinds):
            raise self._error(f"the exchange of its hook {hook!r} returned {type(value).__name__}, not {words}")
        return value

    @contextmanager
    def blame(self, hook: str) -> Iterator[None]:
        """Turn whatever a hook raises in this context into `PluginError`, except genbridge's own errors."""
        try:
            yield
        except GenbridgeError:
            raise
        except Exception as error:
            raise self._failed(hook, error) from error

    def _failed(self, hook: str, error: Exception) -> PluginError:
        return self._error(f"has a bug in its hook {hook!r}, which failed with {told(error)}")

    def _error(self, what: str) -> PluginError:
        return PluginError(f"the provider {self.name!r} of the package {self.package!r} {what}", package=self.package)


def _answer_problem(hook: str, answer: object) -> str | None:
    """Say what is wrong with a hook's answer, or return `None`."""
    kinds, words = _ANSWERS.get(hook, ((), ""))
    if not isinstance(answer, kinds):
        if inspect.iscoroutine(answer):
            answer.close()
            return "returned a coroutine; hooks describe calls and are plain functions or generators"
        if kinds:
            return f"returned {type(answer).__name__}, not {words}"
    if isinstance(answer, tuple) and (problem := _items_problem(answer, _ITEMS[hook])):
        return f"returned a list that {problem}"
    return None


def _items_problem(values: Iterable[object], kind: type) -> str | None:
    others = [type(value).__name__ for value in values if not isinstance(value, kind)]
    return f"holds {others[0]}, not only {kind.__name__}" if others else None


def told(error: BaseException) -> str:
    """Return what another's error says, and no more of it than a line or two."""
    text = f"{type(error).__name__}: {error}"
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "…"


# Making a `Plugin` of a plugin object.


_Broken = Callable[[Sequence[Problem]], PluginError]
"""Makes the error that says whose plugin object it is, and all that is wrong with it."""


def _broken(name: str | None, package: str, problems: Sequence[Problem]) -> PluginError:
    which = "the provider" if name is None else f"the provider {name!r}"
    return _unusable(f"{which} of the package {package!r}", package, problems)


def _unusable(what: str, package: str, problems: Sequence[Problem]) -> PluginError:
    reasons = "; ".join(problem.message for problem in problems)
    return PluginError(f"{what} cannot be used: {reasons}", package=package, problems=problems)


@attrs.frozen(kw_only=True)
class Wrapper:
    """A plugin that wraps every provider's hooks, as audit and tracing do."""

    name: str
    package: str
    plugin: object


def plugin_of(name: str | None, plugin: object, *, package: str | None = None, wrappers: Iterable[Wrapper] = ()) -> Plugin:
    """Check a plugin object, such as a module with hooks, and make it the provider of that name; raises `PluginError`.

    `None` is the name that it gives itself. `package` is the name to blame; by default, the object's own. The error has all that
    is wrong with the hooks, or, when they can be called, with what `describe` says.
    """
    package = package or str(getattr(plugin, "__name__", type(plugin).__name__))
    broken = partial(_broken, name, package)
    manager = pluggy.PluginManager(_PROJECT)
    manager.add_hookspecs(hookspecs)
    found = _register(manager, plugin, broken)
    for wrapper in wrappers:
        _register(manager, wrapper.plugin, partial(_broken_wrapper, wrapper), wrapping=True)
    provider = _described(manager.hook, name, broken)
    hooks = {hook: _caller(getattr(manager.hook, hook)) for hook in found}
    return Plugin(name=provider.name, package=package, provider=provider, hooks=hooks)


def _caller(hook: pluggy.HookCaller) -> Callable[[Mapping[str, Any]], Any]:
    """Return what calls a hook: one that nobody wraps without pluggy's own machinery, which takes longer than most hooks do."""
    first, *others = hook.get_hookimpls()
    if others:
        return lambda values: hook(**values)
    function, names = first.function, first.argnames
    if len(names) < 2:
        return lambda values: function(*map(values.__getitem__, names))
    given = itemgetter(*names)
    return lambda values: function(*given(values))


def _broken_wrapper(wrapper: Wrapper, problems: Sequence[Problem]) -> PluginError:
    what = f"the plugin {wrapper.name!r} of the package {wrapper.package!r}, which wraps every provider,"
    return _unusable(what, wrapper.package, problems)


def _register(manager: pluggy.PluginManager, plugin: object, broken: _Broken, *, wrapping: bool = False) -> frozenset[str]:
    """Check a plugin object's hooks and add them; return their names."""
    try:
        hooks = _hooks_of(manager, plugin)
        problems = [Problem(hook.name, problem) for hook in hooks if (problem := _hook_problem(hook, wrapping=wrapping))]
        found = frozenset(hook.name for hook in hooks)
        if not wrapping and (missing := _missing(plugin, found)):
            problems.append(Problem("hooks", missing))
        if not problems:
            manager.register(plugin)
    except Exception as error:
        raise broken([Problem("hooks", told(error))]) from error
    if problems:
        raise broken(problems)
    return found


@attrs.frozen(kw_only=True)
class _Hook:
    """A function that a plugin object marks as a hook. `wraps` says that it goes around another's."""

    name: str
    function: Callable[..., object]
    wraps: bool


def _hooks_of(manager: pluggy.PluginManager, plugin: object) -> list[_Hook]:
    found = []
    for attribute in dir(plugin):
        options = manager.parse_hookimpl_opts(plugin, attribute)
        if options is not None:
            wraps = bool(options.get("wrapper") or options.get("hookwrapper"))
            found.append(_Hook(name=options.get("specname") or attribute, function=getattr(plugin, attribute), wraps=wraps))
    return found


def _hook_problem(hook: _Hook, *, wrapping: bool) -> str | None:
    """Say what is wrong with a function that is marked as a hook, or return `None`."""
    if hook.name not in SPECS:
        return f"there is no hook {hook.name!r}{did_you_mean(hook.name, SPECS) or '; there are ' + listed(SPECS)}"
    if inspect.iscoroutinefunction(hook.function) or inspect.isasyncgenfunction(hook.function):
        return f"its hook {hook.name!r} is `async def`; hooks describe calls and are plain functions or generators"
    if wrapping != hook.wraps:
        must = "must be a wrapper, @hookimpl(wrapper=True)" if wrapping else "must not be a wrapper"
        return f"its hook {hook.name!r} {must}"
    return _argument_problem(hook)


def _argument_problem(hook: _Hook) -> str | None:
    known = SPECS[hook.name]
    for parameter in inspect.signature(hook.function).parameters.values():
        written = str(parameter.replace(annotation=parameter.empty))
        if parameter.name not in known:
            near = did_you_mean(parameter.name, known)
            takes = f"may take {listed(known)}" if known else "takes no argument"
            return f"its hook {hook.name!r} has an unknown argument {written!r}{near}; it {takes}"
        if parameter.kind is not parameter.POSITIONAL_OR_KEYWORD or parameter.default is not parameter.empty:
            return f"its hook {hook.name!r} would never be given the argument {written!r}; write plainly {parameter.name!r}"
    return None


def _missing(plugin: object, found: Iterable[str]) -> str | None:
    """Name the required hooks that a provider lacks, or return `None`."""
    missing = sorted(hookspecs.REQUIRED - set(found))
    unmarked = [name for name in missing if callable(getattr(plugin, name, None))]
    hint = f" ({listed(unmarked)} is there, but not marked with @hookimpl)" if unmarked else ""
    return f"it lacks the required hook {listed(missing)}{hint}" if missing else None


def _described(hook: pluggy.HookRelay, name: str | None, broken: _Broken) -> Provider:
    try:
        provider: object = hook.describe()
    except Exception as error:
        raise broken([Problem("describe", f"its hook 'describe' failed with {told(error)}")]) from error
    if problem := _answer_problem("describe", provider):
        raise broken([Problem("describe", f"its hook 'describe' {problem}")])
    assert isinstance(provider, Provider)  # noqa: S101 (it was checked; this tells the type checker)
    if problems := [Problem("describe", problem) for problem in _provider_problems(name, provider)]:
        raise broken(problems)
    return provider


def _provider_problems(name: str | None, provider: Provider) -> Iterator[str]:
    if name not in {None, provider.name}:
        yield f"the name is {provider.name!r}, but the entry point's is {name!r}"
    if problem := base_url_problem(provider.base_url):
        yield f"base_url: {problem}"
    variable: object = provider.key_variable
    if not isinstance(variable, str) or not variable.isidentifier():
        yield f"key_variable: {variable!r} is not the name of an environment variable"
    if problem := _items_problem(provider.models, Model):
        yield f"models {problem}"
        return
    ids = [(model.media, model.id) for model in provider.models]
    for media, each in dict.fromkeys(pair for pair in ids if ids.count(pair) > 1):
        yield f"models: {each!r} is there more than once for {media}"


# What is installed.


def installed_in(group: str) -> Iterable[EntryPoint]:
    """Return the entry points of a group that are installed."""
    from importlib.metadata import entry_points  # noqa: PLC0415 (it is slow to import, and not needed for plugins passed in)

    return entry_points(group=group)


@attrs.define
class Registry:
    """The providers there are; each is loaded and checked when it is first asked for, and then kept.

    `entry_points` returns what is installed in a group; it is asked once. `given` are plugin objects by name that need no entry
    point and go before those that have one. Several threads may use it.
    """

    entry_points: Callable[[str], Iterable[EntryPoint]] = installed_in
    given: Mapping[str, object] = attrs.field(factory=dict)
    _found: dict[str, tuple[EntryPoint, ...]] = attrs.field(factory=dict, init=False, repr=False)
    _loaded: dict[str, Plugin] = attrs.field(factory=dict, init=False)
    _wrappers: tuple[Wrapper, ...] | None = attrs.field(default=None, init=False)
    _lock: RLock = attrs.field(factory=RLock, init=False, repr=False)

    def names(self) -> tuple[str, ...]:
        """Return the names of all providers, without importing any."""
        return tuple(sorted({*self.given, *(entry.name for entry in self._entries(PROVIDERS))}))

    def load(self, name: str) -> Plugin:
        """Return a provider's plugin; raises `UnknownProviderError`, or `PluginError` when its package is broken."""
        with self._lock:
            if name not in self._loaded:
                self._loaded[name] = self._make(name)
            return self._loaded[name]

    def find(self, name: str) -> object:
        """Return a provider's plugin object, imported but not checked; raises as `load` does."""
        if name in self.given:
            return self.given[name]
        entry = self._entry(name)
        return _load(entry, partial(_broken, name, package_of(entry)))

    def offering(self, hook: str) -> list[Plugin]:
        """Return the providers that have a hook; one whose package is broken is left out, and named in the log."""
        offered = []
        for name in self.names():
            try:
                plugin = self.load(name)
            except PluginError as error:
                _log.warning("%s", error)
                continue
            if plugin.supports(hook):
                offered.append(plugin)
        return offered

    def providers(self) -> Mapping[str, Provider]:
        """Return what each provider says of itself, by name; looking one up loads it, and raises as `load` does."""
        return _Described(self)

    def _make(self, name: str) -> Plugin:
        package = None if name in self.given else package_of(self._entry(name))
        return plugin_of(name, self.find(name), package=package, wrappers=self._all_wrappers())

    def _entries(self, group: str) -> tuple[EntryPoint, ...]:
        with self._lock:
            if group not in self._found:
                self._found[group] = tuple(self.entry_points(group))
            return self._found[group]

    def _entry(self, name: str) -> EntryPoint:
        claims = {(package_of(entry), entry.value): entry for entry in self._entries(PROVIDERS) if entry.name == name}
        if not claims:
            raise self._unknown(name)
        if len(claims) > 1:
            packages = listed(sorted({package for package, _ in claims}))
            raise PluginError(
                f"the provider {name!r} is claimed more than once, by the packages {packages}; uninstall all but one",
                package=packages,
            )
        return next(iter(claims.values()))

    def _unknown(self, name: str) -> UnknownProviderError:
        names = self.names()
        there = f"{did_you_mean(name, names)}; installed are {listed(names) or 'none'}"
        return UnknownProviderError(f"there is no provider {name!r}{there}. For another, install the package that offers it")

    def _all_wrappers(self) -> tuple[Wrapper, ...]:
        if self._wrappers is None:
            self._wrappers = tuple(_wrapper(entry) for entry in self._entries(WRAPPERS))
        return self._wrappers


def package_of(entry: EntryPoint) -> str:
    """Return the name of the distribution that an entry point is from, or else its top-level module."""
    name = entry.dist.name if entry.dist is not None else None
    return name or entry.value.partition(":")[0].partition(".")[0].strip()


def _load(entry: EntryPoint, broken: _Broken) -> object:
    try:
        return entry.load()
    except (Exception, SystemExit) as error:
        what = f"importing {entry.value!r} failed with {told(error)}; update or uninstall that package"
        raise broken([Problem("imports", what)]) from error


def _wrapper(entry: EntryPoint) -> Wrapper:
    wrapper = Wrapper(name=entry.name, package=package_of(entry), plugin=None)
    return attrs.evolve(wrapper, plugin=_load(entry, partial(_broken_wrapper, wrapper)))


class _Described(Mapping[str, Provider]):
    """Each provider's description, loaded when it is looked up."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def __getitem__(self, name: str) -> Provider:
        return self._registry.load(name).provider

    def __iter__(self) -> Iterator[str]:
        return iter(self._registry.names())

    def __len__(self) -> int:
        return len(self._registry.names())

    def __contains__(self, name: object) -> bool:
        return name in self._registry.names()


installed = Registry()
"""What is installed in this environment."""
