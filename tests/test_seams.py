"""Another package's journal, engine or limiter is found by its name, and a broken one hurts only who asks for it."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from importlib.metadata import Distribution, EntryPoint
from types import ModuleType, SimpleNamespace
from typing import Any

import attrs
import pytest

from genbridge import Client, Config, ConfigError, JournalError, PluginError, hookimpl
from genbridge.config import JournalConfig
from genbridge.databases import DatabaseUrl
from genbridge.journal import open_journal
from genbridge.limits import Rule, Wait
from genbridge.seams import Seams, installed

URL = DatabaseUrl.parse("memory://somebody:a-password-of-somebodys@host/name")


class Package:
    """A plugin object that offers one of each."""

    @hookimpl
    def make_journal(self, url: DatabaseUrl, engine: object) -> Any:
        return SimpleNamespace(url=url, engine=engine)

    @hookimpl
    def make_engine(self, url: DatabaseUrl) -> Any:
        return SimpleNamespace(url=url)

    @hookimpl
    def make_limiter(self, url: DatabaseUrl) -> Any:
        return Patient()


class Patient:
    """A limiter that has everybody wait."""

    async def reserve(self, backend: str, model: str, rules: Sequence[Rule]) -> Wait | None:
        return Wait(1.0, f"{backend} is tired of {model}")


class Named(Distribution):
    """A distribution that has nothing but its name."""

    def __init__(self, name: str) -> None:
        self._name = name

    @property
    def metadata(self) -> Any:
        return {"Name": self._name}

    def read_text(self, filename: str) -> None:
        return None

    def locate_file(self, path: Any) -> Any:
        return path


@attrs.frozen
class Entry:
    """An entry point whose object is at hand, or cannot be imported."""

    name: str
    plugin: object
    package: str = "somebodys-package"

    @property
    def value(self) -> str:
        return self.package

    @property
    def dist(self) -> Distribution:
        return Named(self.package)

    def load(self) -> object:
        if isinstance(self.plugin, BaseException):
            raise self.plugin
        return self.plugin


def seams(*entries: Entry) -> Seams:
    """Return what is to be had where these packages are installed."""

    def entry_points(group: str) -> Iterable[EntryPoint]:
        assert "genbridge.seams" == group
        return entries  # type: ignore[return-value]

    return Seams(entry_points)


def test_a_journal_is_found_by_the_scheme_of_its_url() -> None:
    """It is given the URL and the engine, and what its hook does not ask for it is not given."""
    engine: Any = object()
    journal: Any = seams(Entry("memory", Package())).journal(URL, engine=engine)
    assert (URL, engine) == (journal.url, journal.engine)


async def test_an_engine_and_a_limiter_are_found_by_their_names() -> None:
    """Each is given the journal's URL."""
    there = seams(Entry("pigeons", Package()))
    engine: Any = there.engine("pigeons", URL)
    assert URL == engine.url
    assert Wait(1.0, "main is tired of clip") == await there.limiter("pigeons", URL).reserve("main", "clip", ())


def test_a_name_that_nobody_offers_is_said_with_the_one_that_was_meant() -> None:
    """What kind of thing is missing is said too."""
    with pytest.raises(ConfigError, match="there is no engine 'pigeon'; did you mean 'pigeons'"):
        seams(Entry("pigeons", Package())).engine("pigeon", URL)


@pytest.mark.parametrize(
    "plugin",
    [
        ImportError("No module named 'feathers'", name="feathers"),
        SystemExit(3),
        KeyError("a-password-of-somebodys"),
        ModuleType("empty"),
        SimpleNamespace(make_engine=hookimpl(lambda url, feathers: None)),
        SimpleNamespace(make_engine=hookimpl(lambda url: None)),
    ],
)
def test_a_broken_package_is_named_by_who_asks_for_it(plugin: object) -> None:
    """Whoever asks for another is not hurt, and no message has the password."""
    there = seams(Entry("broken", plugin), Entry("pigeons", Package()))
    with pytest.raises(PluginError, match="the engine 'broken' of the package 'somebodys-package' cannot be used") as caught:
        there.engine("broken", URL)
    assert "a-password-of-somebodys" not in str(caught.value)
    assert there.engine("pigeons", URL)


def test_a_name_that_two_packages_claim_is_nobodys() -> None:
    """It is not chance that decides."""
    there = seams(Entry("pigeons", Package()), Entry("pigeons", Package(), package="anothers-package"))
    with pytest.raises(PluginError, match="claimed by the packages anothers-package, somebodys-package"):
        there.engine("pigeons", URL)


@pytest.mark.parametrize("missing", ["psycopg", "procrastinate"])
def test_what_our_own_need_is_named_where_it_is_missing(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    """The sentence says what to install."""
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(JournalError, match=r'pip install "genbridge\[distributed\]"'):
        seams(Entry("procrastinate", Package(), package="genbridge")).engine("procrastinate", URL)


async def test_a_client_has_what_its_configuration_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """The journal at its URL, with the engine of that name; the limiter of that name where this process drives its jobs."""
    monkeypatch.setattr("genbridge.seams.installed", seams(Entry("memory", Package()), Entry("pigeons", Package())))
    config = Config(journal=JournalConfig(url=URL, engine="pigeons", limiter="pigeons"))
    journal: Any = Client(config)._make_journal(config)
    limiter = Client(config)._make_limiter(config, journal)
    assert (URL, URL) == (journal.url, journal.engine.url)
    assert isinstance(limiter, Patient)
    assert None is Client(config)._make_limiter(Config(), journal)
    alone: Any = Client(config, engine="in-process")._make_journal(config)
    assert None is alone.engine


@pytest.mark.parametrize("scheme", ["postgres", "postgresql"])
def test_our_own_come_in_by_the_same_door(scheme: str) -> None:
    """A journal in PostgreSQL, with Procrastinate's tickets."""
    pytest.importorskip("procrastinate", reason="genbridge[distributed] is not installed")
    url = DatabaseUrl.parse(f"{scheme}://host/name")
    engine = installed.engine("procrastinate", url)
    assert "Procrastinate" == type(engine).__name__
    assert "PostgresJournal" == type(open_journal(url, engine=engine)).__name__
