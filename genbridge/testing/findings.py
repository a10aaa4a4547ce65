"""What a check found."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import attrs

from genbridge.errors import PluginError, Problem


@attrs.define
class Findings:
    """The violations so far, each one once, by the hook they are about."""

    problems: list[Problem] = attrs.field(factory=list)
    _seen: set[tuple[str, str]] = attrs.field(factory=set)

    def add(self, hook: str, message: str, *, once: str | None = None) -> None:
        """Note a violation, unless one of that hook with the same `once` (by default the same message) is noted already."""
        mark = (hook, once or message)
        if mark not in self._seen:
            self._seen.add(mark)
            self.problems.append(Problem(hook, message))

    @contextmanager
    def of(self, hook: str, doing: str) -> Iterator[None]:
        """Note whatever is raised inside as a violation of a hook."""
        try:
            yield
        except Exception as error:  # noqa: BLE001  # whatever a plugin raises is what is looked for
            self.add(hook, f"{doing}, {told(error)}", once=f"{doing} {kind(error)}")


def told(error: Exception) -> str:
    """Say what a hook raised, or what genbridge says of what it returned."""
    if isinstance(error, PluginError) and error.__cause__ is None:
        return error.message
    return f"it raised {kind(error)}: {error.__cause__ if isinstance(error, PluginError) else error}"


def kind(error: Exception) -> str:
    """Name the kind of an error, and of a hook's own bug the one that the hook raised."""
    return type(error.__cause__ if isinstance(error, PluginError) and error.__cause__ else error).__name__
