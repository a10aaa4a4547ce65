"""Journals, engines and limiters, each made by the package that offers it.

Such a package has an entry point in the group `genbridge.seams`, which leads to a plugin object with one of the hooks below. Its
name is what a configuration says: the scheme of the URL for a journal, the `engine` or the `limiter` for the others. What genbridge
has itself comes in by the same door. A package is loaded when it is asked for, so that one that is broken hurts nobody else.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import attrs
import pluggy

from genbridge.databases import DatabaseUrl
from genbridge.engine import Engine
from genbridge.errors import ConfigError, GenbridgeError, PluginError
from genbridge.hookspecs import hookspec
from genbridge.journal import SharedJournal, need_drivers
from genbridge.limits import Limiter
from genbridge.places import SEAMS
from genbridge.plugins import installed_in, package_of, told
from genbridge.words import did_you_mean, listed

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

_PROJECT = "genbridge"


@hookspec(firstresult=True)
def make_journal(url: DatabaseUrl, now: Callable[[], float] | None, engine: Engine | None) -> SharedJournal:
    """Return the journal at a URL, which `open` connects to.

    `engine` gives tickets for its jobs to workers; without one, whoever submits a job drives it. `now` tells the wall-clock time
    in seconds in tests, and is `None` else: machines that share a journal had better go by its own clock.
    """


@hookspec(firstresult=True)
def make_engine(url: DatabaseUrl) -> Engine:
    """Return the engine for the jobs in the journal at a URL."""


@hookspec(firstresult=True)
def make_limiter(url: DatabaseUrl) -> Limiter:
    """Return what decides when a submit may start, for all who use the journal at a URL."""


@attrs.frozen
class Seams:
    """What there is to be had; `entry_points` returns what is installed in a group."""

    entry_points: Callable[[str], Iterable[EntryPoint]] = installed_in

    def journal(self, url: DatabaseUrl, *, now: Callable[[], float] | None = None, engine: Engine | None = None) -> SharedJournal:
        """Return the journal at a URL; raises `ConfigError` where nobody offers one, and `PluginError` for a broken package."""
        journal: SharedJournal = self._made("journal", url.scheme, url=url, now=now, engine=engine)
        return journal

    def engine(self, name: str, url: DatabaseUrl) -> Engine:
        """Return the engine of that name; raises as `journal` does."""
        engine: Engine = self._made("engine", name, url=url)
        return engine

    def limiter(self, name: str, url: DatabaseUrl) -> Limiter:
        """Return the limiter of that name; raises as `journal` does."""
        limiter: Limiter = self._made("limiter", name, url=url)
        return limiter

    def _made(self, kind: str, name: str, **values: Any) -> Any:
        entry = self._entry(kind, name)
        broken = f"the {kind} {name!r} of the package {package_of(entry)!r} cannot be used"
        try:
            if package_of(entry) == _PROJECT:
                need_drivers()
            made = getattr(_hooks(entry.load()), f"make_{kind}")(**values)
        except GenbridgeError:
            raise
        except (Exception, SystemExit) as error:  # noqa: BLE001 (its traceback may have the password)
            reason = values["url"].struck_from(told(error))
            raise PluginError(f"{broken}: {reason}; update or uninstall it", package=package_of(entry)) from None
        if made is None:
            raise PluginError(f"{broken}: it has no hook 'make_{kind}' that returns one", package=package_of(entry))
        return made

    def _entry(self, kind: str, name: str) -> EntryPoint:
        entries = tuple(self.entry_points(SEAMS))
        claims = {(package_of(entry), entry.value): entry for entry in entries if entry.name == name}
        if len(claims) > 1:
            packages = listed(sorted({package for package, _ in claims}))
            raise PluginError(f"the {kind} {name!r} is claimed by the packages {packages}; uninstall all but one", package=packages)
        if not claims:
            near = did_you_mean(name, {entry.name for entry in entries})
            raise ConfigError(f"there is no {kind} {name!r}{near}; install the package that offers it")
        return next(iter(claims.values()))


def _hooks(plugin: object) -> pluggy.HookRelay:
    manager = pluggy.PluginManager(_PROJECT)
    manager.add_hookspecs(sys.modules[__name__])
    manager.register(plugin)
    manager.check_pending()
    return manager.hook


installed = Seams()
"""What is installed in this environment."""
