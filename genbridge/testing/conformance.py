"""The contract of a provider, checked: everything that is wrong with a plugin, in one error."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import entry_points

from genbridge.catalogue import Provider, did_you_mean
from genbridge.errors import Problem, UnknownProviderError
from genbridge.plugins import PROVIDERS
from genbridge.testing.calls import check_calls, takes
from genbridge.testing.declarations import check_facts, check_hooks, check_loading
from genbridge.testing.findings import Findings
from genbridge.testing.purity import check_purity
from genbridge.testing.rehearsal import rehearse
from genbridge.testing.replies import check_replies
from genbridge.testing.stage import Hooks
from genbridge.types import Request
from genbridge.wire import Reply


class ConformanceError(AssertionError):
    """A plugin does not keep the contract; `problems` lists every violation with the hook that it is about."""

    def __init__(self, provider: str, problems: Iterable[Problem]) -> None:
        super().__init__(provider, tuple(problems))
        self.provider = provider
        self.problems = tuple(problems)

    def __str__(self) -> str:
        count = f"{len(self.problems)} violations" if len(self.problems) > 1 else "one violation"
        lines = [f"  {problem}" for problem in self.problems]
        return "\n".join([f"{self.provider} does not keep the contract of a genbridge provider, {count}:", *lines])


def check_provider(plugin: object, *, examples: Iterable[Request] = (), replies: Iterable[Reply] = ()) -> None:
    """Hold a provider's plugin against the whole contract; raises `ConformanceError` with every violation.

    `plugin` is the module (or an object) with the hooks, or the name of an installed provider. The smallest request of each model
    is tried, and the `examples`: canonical requests, which a model needs only where its smallest request cannot be guessed.
    `normalize` is given garbage, and the emulator's replies and `replies` (the documented ones) with every part of them changed in
    turn. Nothing is sent anywhere.
    """
    name = plugin if isinstance(plugin, str) else None
    plugin = plugin if name is None else _installed(name)
    findings = Findings()
    with findings.of("imports", "reading its sources"):
        check_purity(plugin, findings)
    hooks = check_hooks(plugin, findings)
    provider = None if hooks is None else check_facts(hooks, findings)
    if hooks is not None and provider is not None:
        check_loading(hooks, name or provider.name, findings)
        _check_behaviour(hooks, provider, tuple(examples), tuple(replies), findings)
    if findings.problems:
        raise ConformanceError(getattr(plugin, "__name__", type(plugin).__name__), findings.problems)


def _check_behaviour(
    hooks: Hooks, provider: Provider, examples: Iterable[Request], replies: Iterable[Reply], findings: Findings
) -> None:
    chosen = takes(hooks, provider, examples, findings)
    check_calls(hooks, provider, chosen, findings)
    seen = rehearse(hooks, provider, chosen, findings)
    check_replies(hooks, provider, chosen, [*replies, *seen], findings)


def _installed(name: str) -> object:
    known = {entry.name: entry for entry in entry_points(group=PROVIDERS)}
    if name not in known:
        raise UnknownProviderError(f"no installed package offers the provider {name!r}{did_you_mean(name, known)}")
    return known[name].load()
