"""The contract of a provider, checked: everything that is wrong with a plugin, in one error."""

from __future__ import annotations

from collections.abc import Iterable

from genbridge.errors import Problem
from genbridge.plugins import Plugin, installed
from genbridge.testing.calls import check_calls, takes
from genbridge.testing.declarations import check_facts, check_loading
from genbridge.testing.findings import Findings
from genbridge.testing.purity import check_purity
from genbridge.testing.rehearsal import rehearse
from genbridge.testing.replies import check_ends, check_replies
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
    name, plugin = (plugin, installed.find(plugin)) if isinstance(plugin, str) else (None, plugin)
    findings = Findings()
    with findings.of("imports", "reading its sources"):
        check_purity(plugin, findings)
    loaded = check_loading(name, plugin, findings)
    if loaded is not None:
        check_facts(loaded, findings)
        _check_behaviour(loaded, tuple(examples), tuple(replies), findings)
    if findings.problems:
        raise ConformanceError(getattr(plugin, "__name__", type(plugin).__name__), findings.problems)


def _check_behaviour(plugin: Plugin, examples: Iterable[Request], replies: Iterable[Reply], findings: Findings) -> None:
    chosen = takes(plugin, examples, findings)
    check_calls(plugin, chosen, findings)
    seen = [*replies, *rehearse(plugin, chosen, findings)]
    check_ends(plugin, chosen, seen, findings)
    check_replies(plugin, chosen, seen, findings)
