"""The backends that a command may be narrowed to: those that are configured, and those that jobs on record are of."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from genbridge.errors import ConfigError
from genbridge.words import did_you_mean, listed

if TYPE_CHECKING:
    from genbridge.cli.session import Session


def check_known(name: str, known: Iterable[str]) -> None:
    """Raise `ConfigError` for a backend that is none of those known; it names them."""
    names = dict.fromkeys(known)
    if name not in names:
        near = did_you_mean(name, names) or (f"; there are {listed(names)}" if names else "")
        raise ConfigError(f"no backend {name!r} is configured or on record{near}")


def configured(session: Session) -> Iterable[str]:
    """Return the names of the backends that a run could use; raises `ConfigError` for a configuration that cannot be read."""
    from genbridge.config import load  # noqa: PLC0415 (loaded when it is used)
    from genbridge.plugins import installed  # noqa: PLC0415 (as above)

    if session.sandbox:
        return [plugin.name for plugin in installed.offering("emulate")]
    return load(session.config).backends
