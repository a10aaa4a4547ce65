"""Questions to a person."""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress
from typing import TextIO

from rich.text import Text

from genbridge.cli.console import clean, is_dynamic, remark, stderr


async def ask(question: str) -> str | None:
    """Ask a question on stderr, and return the line that is answered on stdin, or `None` where there is none to come.

    What was typed before it was asked is no answer to it.
    """
    if can_ask():
        _forget_typed(sys.stdin)
    stderr().print(Text(clean(question)), end=" ", soft_wrap=not is_dynamic(sys.stderr))
    sys.stderr.flush()
    try:
        if can_ask():
            await _typed(sys.stdin)
    except asyncio.CancelledError:
        remark("")
        raise
    line = sys.stdin.readline()
    if not (line and can_ask()):  # nobody ended the line by typing
        remark("")
    return line.strip() if line else None


def can_ask() -> bool:
    """Whether there is somebody to ask."""
    return sys.stdin is not None and sys.stdin.isatty()


def _forget_typed(stream: TextIO) -> None:
    try:
        import termios  # noqa: PLC0415 (there is none on Windows)
    except ImportError:
        return
    with suppress(OSError, termios.error):  # what is a terminal by name only
        termios.tcflush(stream.fileno(), termios.TCIFLUSH)


async def _typed(stream: TextIO) -> None:
    """Wait for a line without holding up the loop, so that Ctrl-C ends the wait, and jobs are driven on during it."""
    loop, typed = asyncio.get_running_loop(), asyncio.Event()
    try:
        loop.add_reader(stream.fileno(), typed.set)
    except (NotImplementedError, OSError):  # Windows, and what is a terminal by name only
        return
    try:
        await typed.wait()
    finally:
        loop.remove_reader(stream.fileno())
