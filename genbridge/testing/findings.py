"""What a check found."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import attrs

from genbridge.errors import Problem


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
            self.add(hook, f"{doing}, it raised {type(error).__name__}: {error}", once=f"{doing} {type(error).__name__}")
