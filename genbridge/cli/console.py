"""What a person reads: results on stdout, everything else on stderr, and logging where it was asked for."""

from __future__ import annotations

import logging
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import IO, TYPE_CHECKING, TextIO

from genbridge.errors import GenbridgeError

if TYPE_CHECKING:
    from rich.console import Console

_BRIEF = "%(word)s: %(message)s"
_TIMED = f"%(at)s {_BRIEF}"
_WORDY = "%(asctime)s %(levelname)s %(name)s: %(message)s"
_LEVELS = (logging.WARNING, logging.INFO, logging.DEBUG)


def clean(text: str) -> str:
    """Return text without control characters, so that a service's words cannot steer the terminal; line ends stay."""
    return "".join(char if char.isprintable() or char == "\n" else " " for char in text)


def say(text: str) -> None:
    """Print a result on stdout; raises `GenbridgeError` when it takes none."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        raise
    except OSError as error:
        abandon(sys.stdout)
        raise GenbridgeError(f"the output cannot be written ({error.strerror}); make room, or send it elsewhere") from None


def remark(text: str) -> None:
    """Print something on stderr that is not the result."""
    print(clean(text), file=sys.stderr, flush=True)


def complain(error: GenbridgeError, *, about: str = "") -> None:
    """Print an error on stderr, its problems as lines; `about` says which of several it is about."""
    warn(f"{about}: {error}" if about else str(error), word="error", style="bold red")


def warn(message: str, *, word: str = "warning", style: str = "bold yellow") -> None:
    """Print a message on stderr behind a word that says how bad it is."""
    from rich.text import Text  # noqa: PLC0415 (most commands print plain lines, and rich takes long to load)

    text = Text(f"{word}: ", style=style).append(clean(message), style="default not bold")
    stderr().print(text, soft_wrap=True)


def confess(error: BaseException, *, details: bool) -> None:
    """Print an error that nobody expected; with `details`, where it came from."""
    if details:
        remark("".join(traceback.format_exception(error)).rstrip())
    summary = " ".join(str(error).split())
    where = "" if details else "; run it again with -v to see where"
    warn(f"{type(error).__name__}: {summary} (this is a bug in genbridge{where})", word="error", style="bold red")


@contextmanager
def unechoed() -> Iterator[None]:
    """Keep a terminal from writing `^C` while the block runs, which would shift lines that are redrawn."""
    restore = _without_echo()
    try:
        yield
    finally:
        restore()


def _without_echo() -> Callable[[], None]:
    """Turn the echo of control characters off where there is one, and return what turns it on again."""
    try:
        import termios  # noqa: PLC0415 (Windows has none)
    except ImportError:
        return lambda: None
    try:
        terminal = sys.stderr.fileno()
        before = termios.tcgetattr(terminal)
        termios.tcsetattr(terminal, termios.TCSANOW, [*before[:3], before[3] & ~termios.ECHOCTL, *before[4:]])
    except (OSError, termios.error):
        return lambda: None
    return lambda: termios.tcsetattr(terminal, termios.TCSANOW, before)


def stdout() -> Console:
    """Return a console for results."""
    from rich.console import Console  # noqa: PLC0415 (as in `warn`)

    return Console(highlight=False, soft_wrap=False)


def stderr() -> Console:
    """Return a console for everything else."""
    from rich.console import Console  # noqa: PLC0415 (as in `warn`)

    return Console(stderr=True, highlight=False)


def is_dynamic(stream: IO[str]) -> bool:
    """Whether lines may be redrawn: a terminal, and one that can move its cursor."""
    return stream.isatty() and os.environ.get("TERM", "").lower() not in {"dumb", "unknown"}


def speaks_unicode(console: Console) -> bool:
    """Whether the stream can write more than ASCII."""
    return console.encoding.lower().startswith("utf")


class _Stderr(logging.Handler):
    """Print log records on what stderr is at the moment, so that they do not break the live lines."""

    def emit(self, record: logging.LogRecord) -> None:
        record.word = record.levelname.lower()
        record.at = f"{datetime.fromtimestamp(record.created, UTC):%Y-%m-%dT%H:%M:%SZ}"
        remark(self.format(record))


def log_to_stderr(verbosity: int, *, timed: bool = False) -> None:
    """Show genbridge's log on stderr: warnings, with 1 what happens, with 2 or more every detail; `timed`, when that was."""
    logger = logging.getLogger("genbridge")
    for handler in [handler for handler in logger.handlers if isinstance(handler, _Stderr)]:
        logger.removeHandler(handler)
    handler = _Stderr()
    handler.setFormatter(logging.Formatter(_WORDY if verbosity else _TIMED if timed else _BRIEF))
    logger.addHandler(handler)
    logger.setLevel(_LEVELS[min(verbosity, len(_LEVELS) - 1)])


def write_anything() -> None:
    """Let stdout and stderr write what their encoding lacks as escapes, instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def abandon(stream: TextIO) -> None:
    """Send what is still to be written to nowhere, as its reader went away."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
