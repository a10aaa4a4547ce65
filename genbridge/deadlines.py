"""When calls are given up: one timer for all of them, as a timer for each is a good part of what a poll costs."""

from __future__ import annotations

import asyncio
from typing import Any

_Task = asyncio.Task[Any]

_EARLY = 0.001
"""Seconds by which a timer may be early, as some loops' are."""


class Deadlines:
    """Cancels tasks that take too long; a task has one deadline at a time.

    As with `asyncio.timeout`, that a task is cancelled by somebody else comes first.
    """

    def __init__(self) -> None:
        self._begun: dict[_Task, tuple[float, int]] = {}
        """When each is to be done, and how often it had been cancelled before."""
        self._late: dict[_Task, int] = {}
        """Those that were cancelled for that."""
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, seconds: float) -> None:
        """Have this task cancelled in so many seconds, unless it is done by then."""
        end, task = asyncio.get_running_loop().time() + seconds, _this()
        self._begun[task] = end, task.cancelling()
        if self._timer is None or end < self._timer.when():
            self._look_at(end)

    def end(self) -> bool:
        """Let this task go on; return whether it was too late, and nobody else has cancelled it."""
        task = _this()
        self._begun.pop(task, None)
        before = self._late.pop(task, None)
        return before is not None and task.uncancel() <= before

    def _look_at(self, moment: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_at(moment, self._look)

    def _look(self) -> None:
        """Cancel the tasks whose time has come, the first one first, and look again when that of the next has."""
        now, self._timer = asyncio.get_running_loop().time() + _EARLY, None
        late = [task for task, (end, _) in self._begun.items() if end <= now]
        for task in sorted(late, key=self._begun.__getitem__):
            _, self._late[task] = self._begun.pop(task)
            task.cancel()
        if self._begun:
            self._look_at(min(self._begun.values())[0])


def _this() -> _Task:
    task = asyncio.current_task()
    if task is None:
        raise RuntimeError("only a task can be cancelled")
    return task
