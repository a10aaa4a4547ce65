"""TOML and environment to values."""

from __future__ import annotations

import json
import logging
import pickle
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from genbridge.budgets import Budget
from genbridge.catalogue import Limits, Model, Provider, Setting
from genbridge.config import (
    BackendConfig,
    Candidates,
    Config,
    DownloadConfig,
    JournalConfig,
    PollConfig,
    Route,
    Secret,
    _read,
    load,
    missing_keys,
    missing_place,
    parse,
)
from genbridge.databases import DatabaseUrl
from genbridge.errors import ConfigError, PluginError, Problem
from genbridge.types import Media

KEY = "sk-0123456789abcdefghijklmnop"
ACME = Provider(
    name="acme",
    base_url="https://acme.example",
    key_variable="ACME_KEY",
    key_url="https://acme.example/keys",
    base_url_variable="ACME_URL",
    models=(Model(id="clip", provider_id="clip-1", media=Media.VIDEO),),
    settings=(
        Setting(name="upload_url", description="where files go", variable="ACME_UPLOAD", default="https://up.example"),
        Setting(name="region", description="where it runs"),
    ),
)
ZETA = Provider(name="zeta", base_url="https://zeta.example", key_variable="ZETA_KEY")


class Providers(Mapping[str, Provider]):
    """Two providers, and one whose package is broken."""

    def __getitem__(self, name: str) -> Provider:
        if name == "broken":
            raise PluginError("the provider 'broken' cannot be used: it does not import", package="genbridge-broken")
        return {"acme": ACME, "zeta": ZETA}[name]

    def __iter__(self) -> Iterator[str]:
        return iter(("acme", "broken", "zeta"))

    def __len__(self) -> int:
        return 3


Read = Callable[..., Config]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Read a configuration from a file with that text, or from the environment alone."""

    def read(text: str | None = None, **env: str) -> Config:
        if text is not None:
            (tmp_path / "genbridge.toml").write_text(text, encoding="utf-8")
        return load(env=env, cwd=tmp_path, user_dir=tmp_path / "none", providers=Providers())

    return read


DATABASE = "postgresql://me:hunter2@db/jobs"
NO_JOURNAL = "mysql:// is no journal that is installed; genbridge itself has postgresql, postgres"


def mistakes(read: Read, text: str, **env: str) -> list[str]:
    """Return every mistake that a file is refused for, a line each."""
    with pytest.raises(ConfigError) as caught:
        read(text, **env)
    assert KEY not in str(caught.value) + repr(caught.value.problems)
    return [str(problem) for problem in caught.value.problems]


def backend(extra: str = "", *, key: str = "env:ACME_KEY") -> str:
    """Return a file with one backend."""
    return f'[backends.studio]\nprovider = "acme"\napi_key = {json.dumps(key)}\n{extra}\n'


# The whole file.


def test_every_part_of_a_file_is_read(read: Read, tmp_path: Path) -> None:
    """Each table becomes its value, with what it does not say filled in."""
    config = read(
        """
        default = "video"

        [backends.studio]
        provider = "acme"
        api_key = "env:STUDIO_KEY"
        base_url = "https://proxy.example/acme/"
        max_concurrent = 8
        submits_per_minute = 12
        patience = 30
        credit_price = 0.01
        region = "eu"

        [backends.studio.poll]
        interval = 2.0
        learn = false
        timeout = 1800

        [backends.studio.budget]
        per_job = 100
        per_day = 1000.5
        jobs_per_day = 20
        total = 5000
        jobs = 100

        [backends.studio.limits.video]
        concurrent = 2

        [backends.studio.limits."clip-1"]
        submits = 4
        per = 1.5

        [backends.spare]
        provider = "zeta"

        [journal]
        path = "jobs.db"

        [downloads]
        max_bytes = 1000000
        allow_private = true

        [routes.video]
        backends = ["studio", "spare"]
        prefer = "cheapest"
        """,
        STUDIO_KEY=KEY,
    )
    studio = BackendConfig(
        name="studio",
        provider="acme",
        api_key=Secret(KEY),
        key_source="env STUDIO_KEY",
        key_url="https://acme.example/keys",
        base_url="https://proxy.example/acme",
        max_concurrent=8,
        submits_per_minute=12,
        patience=30.0,
        credit_price=0.01,
        poll=PollConfig(interval=2.0, learn=False, timeout=1800.0),
        budget=Budget(per_job=100.0, per_day=1000.5, jobs_per_day=20, total=5000.0, jobs=100),
        limits={"video": Limits(concurrent=2), "clip": Limits(submits=4, per=1.5)},
        settings={"upload_url": "https://up.example", "region": "eu"},
    )
    assert config == Config(
        backends={"studio": studio, "spare": BackendConfig(name="spare", provider="zeta", key_source="env ZETA_KEY")},
        routes={"video": Route(name="video", backends=("studio", "spare"), prefer="cheapest")},
        default="video",
        journal=JournalConfig(path=tmp_path / "jobs.db"),
        downloads=DownloadConfig(max_bytes=1000000, allow_private=True),
        source=tmp_path / "genbridge.toml",
    )


def test_a_configuration_never_shows_a_key(read: Read) -> None:
    """Neither its repr nor a pickle has it."""
    config = read(backend(), ACME_KEY=KEY)
    assert KEY not in f"{config!r} {config}"
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(config)


def test_all_mistakes_are_reported_at_once_with_their_lines(read: Read, tmp_path: Path) -> None:
    """One look at the report is enough to correct the file."""
    text = f"""\
defualt = "studio"
[backends.studio]
provider = "acmee"
api_key = {KEY!r}
max_concurrent = "8"
poll = {{ interval = -1 }}

[backends.spare]
api_kye = {KEY!r}
[routes.video]
backends = ["stuido"]
"""
    with pytest.raises(ConfigError) as caught:
        read(text)
    assert f"""\
{tmp_path / "genbridge.toml"} has 7 mistakes
  backends.studio.provider: 'acmee' is no installed provider; did you mean 'acme'? (line 3)
  backends.studio.max_concurrent: '8' cannot be used; give a whole number (line 5)
  backends.studio.poll.interval: -1 is too small; it must be more than 0 (line 6)
  backends.spare.provider: it is missing; name one of acme, broken, zeta (line 8)
  backends.spare.api_kye: unknown key; did you mean 'api_key'? (line 9)
  routes.video.backends: 'stuido' is no backend; did you mean 'studio'? (line 11)
  defualt: unknown key; did you mean 'default'? (line 1)""" == str(caught.value)


@pytest.mark.parametrize(
    ("extra", "expected"),
    [
        ("base_url = 5", "backends.studio.base_url: 5 is not a string; put it in quotes (line 4)"),
        ("max_concurrent = 0", "backends.studio.max_concurrent: 0 is too small; it must be at least 1 (line 4)"),
        ("submits_per_minute = -2", "backends.studio.submits_per_minute: -2 is too small; it must be at least 1 (line 4)"),
        ("patience = -1", "backends.studio.patience: -1 is too small; it must be at least 0 (line 4)"),
        ("credit_price = 0", "backends.studio.credit_price: 0 is too small; it must be more than 0 (line 4)"),
        ("region = 5", "backends.studio.region: 5 is not a string; put it in quotes (line 4)"),
        ("poll = 5", "backends.studio.poll: it is not a table; write [backends.studio.poll] and its keys below (line 4)"),
        ("poll.interval = 0", "backends.studio.poll.interval: 0 is too small; it must be more than 0 (line 4)"),
        ("poll.timeout = inf", "backends.studio.poll.timeout: inf cannot be used; give a number (line 4)"),
        ("poll.learn = 1", "backends.studio.poll.learn: 1 is not true or false (line 4)"),
        ("poll.intervall = 1", "backends.studio.poll.intervall: unknown key; did you mean 'interval'? (line 4)"),
        ("budget.per_job = -1", "backends.studio.budget.per_job: -1 is too small; it must be at least 0 (line 4)"),
        ("budget.per_day = true", "backends.studio.budget.per_day: True cannot be used; give a number (line 4)"),
        ("budget.jobs_per_day = 1.5", "backends.studio.budget.jobs_per_day: 1.5 cannot be used; give a whole number (line 4)"),
        (
            "budget.per_week = 1",
            "backends.studio.budget.per_week: unknown key; known are per_job, per_day, jobs_per_day, total, jobs (line 4)",
        ),
        ("limits.submits = 0", "backends.studio.limits.submits: 0 is too small; it must be at least 1 (line 4)"),
        ("limits.per = 5", "backends.studio.limits.per: it says in how many seconds, and not how many; add submits (line 4)"),
        ("limits.video.concurent = 5", "backends.studio.limits.video.concurent: unknown key; did you mean 'concurrent'? (line 4)"),
        (
            "[backends.studio.limits.clib]\nconcurrent = 5",
            "backends.studio.limits.clib: 'clib' is no medium and no model of acme; did you mean 'clip'? (line 4)",
        ),
        ("limits = 5", "backends.studio.limits: it is not a table; write [backends.studio.limits] and its keys below (line 4)"),
        (
            "max_concurrent = 5\nlimits.concurrent = 5",
            "backends.studio.limits.concurrent: max_concurrent says this already; keep one of them (line 5)",
        ),
        ("base_rul = 'x'", "backends.studio.base_rul: unknown key; did you mean 'base_url'? (line 4)"),
        ("[journal]\npath = 5", "journal.path: 5 is not a string; put it in quotes (line 5)"),
        ("[journal]\nfile = 'x'", "journal.file: unknown key; known are path, engine, limiter (line 5)"),
        ("[journal]\nengine = 5", "journal.engine: 5 is not a string; put it in quotes (line 5)"),
        (
            "[journal]\nengine = 'procastinate'",
            "journal.engine: 'procastinate' is not installed; did you mean 'procrastinate'? (line 5)",
        ),
        (
            "[journal]\nengine = 'x'",
            "journal.engine: 'x' is not installed; genbridge itself has in-process, procrastinate (line 5)",
        ),
        ("[journal]\nlimiter = 'redis'", "journal.limiter: 'redis' is not installed; genbridge itself has journal (line 5)"),
        (
            "[journal]\npath = 'jobs.db'\nengine = 'procrastinate'",
            "journal.engine: procrastinate needs a database; write its URL as path, or leave engine out (line 6)",
        ),
        ("[journal]\npath = 'mysql://db/x'\nengine = 'procrastinate'", f"journal.path: {NO_JOURNAL} (line 5)"),
        ("[journal]\npath = 'env:a b'", 'journal.path: what follows "env:" is not the name of an environment variable (line 5)'),
        ("[journal]\npath = 'a\\u0000b'".replace("'", '"'), "journal.path: 'a\\x00b' is not a path (line 5)"),
        ("[downloads]\nmax_bytes = 0", "downloads.max_bytes: 0 is too small; it must be at least 1 (line 5)"),
        ("[downloads]\nallow_private = 'no'", "downloads.allow_private: 'no' is not true or false (line 5)"),
        ("[downloads]\nmax_byte = 1", "downloads.max_byte: unknown key; did you mean 'max_bytes'? (line 5)"),
        ("[routes]\nx = 1", "routes.x: it is not a table; write [routes.x] and its keys below (line 5)"),
        ("[routes.x]", "routes.x.backends: it is missing or empty; name at least one backend (line 4)"),
        ("[routes.x]\nbackends = []", "routes.x.backends: it is missing or empty; name at least one backend (line 5)"),
        ("[routes.x]\nbackends = 'studio'", """routes.x.backends: 'studio' is not a list of strings; write ["a", "b"] (line 5)"""),
        ("[routes.x]\nbackends = ['studio', 'studio']", "routes.x.backends: 'studio' is named more than once (line 5)"),
        ("[routes.x]\nbackends = ['x']", "routes.x.backends: 'x' is a route; name backends (line 5)"),
        (
            "[routes.x]\nbackends = ['studio']\nprefer = 'chepest'",
            "routes.x.prefer: 'chepest' is not one of order, cheapest; did you mean 'cheapest'? (line 6)",
        ),
        ("[routes.x]\nbackends = ['studio']\nprefers = 'order'", "routes.x.prefers: unknown key; did you mean 'prefer'? (line 6)"),
        ("[routes.studio]\nbackends = ['studio']", "routes.studio: a backend has this name too; give one of them another (line 4)"),
        (
            "[routes.'a b']\nbackends = ['studio']",
            """routes."a b": 'a b' cannot be a name; use letters, digits, '.', '_' and '-' (line 4)""",
        ),
        ("[jurnal]", "jurnal: unknown key; did you mean 'journal'? (line 4)"),
    ],
)
def test_a_mistake_says_where_and_what(read: Read, extra: str, expected: str) -> None:
    """Each kind of mistake is one line, and the only one."""
    assert [expected] == mistakes(read, backend(extra))


@pytest.mark.parametrize(
    ("default", "expected"),
    [
        ('"stuido"', "default: 'stuido' is no backend and no route; did you mean 'studio'? (line 1)"),
        ('"x"', "default: 'x' is no backend and no route; there are studio (line 1)"),
        ("5", "default: 5 is not a string; put it in quotes (line 1)"),
    ],
)
def test_a_default_must_name_something(read: Read, default: str, expected: str) -> None:
    """A default that nothing answers to is found when the file is read."""
    assert [expected] == mistakes(read, f"default = {default}\n{backend()}")


def test_a_backend_s_name_must_be_one(read: Read) -> None:
    """A name is printed and typed, and so has no spaces."""
    expected = """backends."my studio": 'my studio' cannot be a name; use letters, digits, '.', '_' and '-' (line 1)"""
    assert [expected] == mistakes(read, '[backends."my studio"]\nprovider = "acme"')


@pytest.mark.parametrize("value", ["5", '"acme"', "[]", "false"])
def test_backends_must_be_tables(read: Read, value: str) -> None:
    """A mere value instead of the table is a mistake, whatever it is."""
    assert ["backends: it is not a table; write [backends] and its keys below (line 1)"] == mistakes(read, f"backends = {value}")


def test_a_provider_must_be_a_name(read: Read) -> None:
    """A number is reported once."""
    assert ["backends.a.provider: 5 is not a string; put it in quotes (line 2)"] == mistakes(read, "[backends.a]\nprovider = 5")


def test_an_unknown_provider_far_from_any_lists_the_installed(read: Read) -> None:
    """With nothing to suggest, what there is is listed; its own settings are not called unknown."""
    expected = "backends.a.provider: 'other' is no installed provider; installed are acme, broken, zeta (line 2)"
    assert [expected] == mistakes(read, '[backends.a]\nprovider = "other"\nzone = "x"')


# Files that cannot be read.


def test_a_syntax_error_has_its_line_and_column(read: Read) -> None:
    """TOML's own words say where; the text itself is not repeated."""
    (found,) = mistakes(read, f'[backends.studio]\napi_key = "{KEY}" oops')
    assert (True, True) == (found.startswith("it is not valid TOML: "), "(at line 2, column" in found)


def test_a_syntax_error_does_not_carry_the_file_s_text(read: Read) -> None:
    """What a crash reporter collects from the error holds no key."""
    with pytest.raises(ConfigError) as caught:
        read(f'api_key = "{KEY}" oops')
    assert (None, None) == (caught.value.__cause__, caught.value.__context__)


def test_text_that_is_nested_too_deeply_is_not_valid(read: Read) -> None:
    """Whatever stops the parser is a mistake in the file."""
    (found,) = mistakes(read, "a = " + "[" * 20000)
    assert found.startswith("it is not valid TOML: ")


def test_a_file_that_is_not_utf_8_says_so(read: Read, tmp_path: Path) -> None:
    """The place of the first wrong byte is named."""
    (tmp_path / "genbridge.toml").write_bytes(b"# \xff\n")
    with pytest.raises(ConfigError, match=r"genbridge\.toml cannot be read: byte 2 is not UTF-8; save it as UTF-8$") as caught:
        read()
    assert None is caught.value.__context__


def test_a_byte_order_mark_is_no_mistake(read: Read, tmp_path: Path) -> None:
    """Some editors write one."""
    (tmp_path / "genbridge.toml").write_bytes(b"\xef\xbb\xbf" + backend().encode())
    assert ["studio"] == list(read().backends)


def test_a_directory_is_not_a_file(tmp_path: Path) -> None:
    """Whoever names the directory is told so."""
    with pytest.raises(ConfigError, match="cannot be read: it is a directory; name the file in it"):
        load(tmp_path, env={}, providers=Providers())


def test_a_file_that_cannot_be_opened_says_why() -> None:
    """The operating system's reason is in the sentence."""
    with pytest.raises(ConfigError, match="cannot be read: File name too long"):
        _read(Path("x" * 5000))


# Where the file is looked for.


def place(folder: Path, name: str, file: str = "genbridge.toml") -> Path:
    """Put a file with one backend of that name into a folder, and return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / file).write_text(f'[backends.{name}]\nprovider = "acme"\n', encoding="utf-8")
    return folder / file


@pytest.mark.parametrize(
    ("there", "expected"),
    [
        (("argument", "variable", "here", "user"), "argument"),
        (("variable", "here", "user"), "variable"),
        (("here", "user"), "here"),
        (("user",), "user"),
    ],
)
def test_the_file_most_on_purpose_is_read_alone(tmp_path: Path, there: tuple[str, ...], expected: str) -> None:
    """An argument goes before the variable, both before what lies in the folder, and that before the user's own."""
    files = {name: place(tmp_path / name, name) for name in there}
    env = {"GENBRIDGE_CONFIG": str(files["variable"])} if "variable" in files else {}
    config = load(files.get("argument"), env=env, cwd=tmp_path / "here", user_dir=tmp_path / "user", providers=Providers())
    assert ([expected], files[expected]) == (list(config.backends), config.source)


def test_without_any_file_the_source_is_none(tmp_path: Path) -> None:
    """What is not there is not invented."""
    assert None is load(env={}, cwd=tmp_path, user_dir=tmp_path, providers=Providers()).source


def test_an_empty_variable_names_no_file(tmp_path: Path) -> None:
    """A variable that is set to nothing is not set."""
    assert None is load(env={"GENBRIDGE_CONFIG": ""}, cwd=tmp_path, user_dir=tmp_path, providers=Providers()).source


@pytest.mark.parametrize(("variable", "advice"), [(True, "correct or unset GENBRIDGE_CONFIG"), (False, "check the path")])
def test_a_named_file_must_be_there(tmp_path: Path, *, variable: bool, advice: str) -> None:
    """It is not passed over for another that happens to lie there."""
    place(tmp_path, "here")
    named, env = (None, {"GENBRIDGE_CONFIG": "gone.toml"}) if variable else ("gone.toml", {})
    with pytest.raises(ConfigError, match=f"gone.toml cannot be found; {advice}"):
        load(named, env=env, cwd=tmp_path, user_dir=tmp_path, providers=Providers())


def test_the_user_s_own_directories_are_the_platform_s(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Left to itself, it looks in the working directory and in the config directory, and keeps jobs in the state directory."""
    monkeypatch.chdir(tmp_path)
    from platformdirs import user_config_path, user_state_path

    file = place(user_config_path("genbridge", appauthor=False), "mine")
    assert file == load(env={}, providers=Providers()).source
    assert user_state_path("genbridge", appauthor=False) / "jobs.db" == JournalConfig().place()
    here = place(tmp_path, "here")
    assert here == load(env={}, providers=Providers()).source


def test_a_path_may_begin_with_a_tilde(home: Path) -> None:
    """The user's home is found; nobody's is not, and is no crash."""
    place(home, "mine", "my.toml")
    assert home / "my.toml" == load("~/my.toml", env={}, providers=Providers()).source
    with pytest.raises(ConfigError, match="~nobody-at-all/x cannot be found"):
        load("~nobody-at-all/x", env={}, providers=Providers())


# Keys.


def test_a_literal_key_works_and_warns(read: Read, caplog: pytest.LogCaptureFixture) -> None:
    """The warning says where the key is and what to write instead, and not the key."""
    with caplog.at_level(logging.WARNING, logger="genbridge"):
        config = read(backend(key=KEY))
    found = config.backends["studio"]
    assert (Secret(KEY), "literal") == (found.api_key, found.key_source)
    (message,) = caplog.messages
    assert ('backends.studio.api_key: it is a key itself; write "env:ACME_KEY"' in message, KEY in message) == (True, False)
    assert [f"{config.source}: {concern}" for concern in config.concerns] == caplog.messages


def test_a_key_s_place_warns_of_nothing(read: Read, caplog: pytest.LogCaptureFixture) -> None:
    """A key that is kept elsewhere is fine."""
    read(backend(), ACME_KEY=KEY)
    assert [] == caplog.messages


def test_a_key_file_is_relative_to_the_configuration(read: Read, tmp_path: Path) -> None:
    """The key's file travels with the file that names it."""
    (tmp_path / "key").write_text(f"{KEY}\n")
    found = read(backend(key="file:key")).backends["studio"]
    assert (Secret(KEY), f"file {tmp_path / 'key'}") == (found.api_key, found.key_source)


def test_a_key_file_that_is_not_there_matters_only_when_it_is_used(read: Read, tmp_path: Path) -> None:
    """As a variable that is not set; before anything is sent, it is said where the key goes."""
    config = read(backend(key="file:key"))
    place = f"put it into the file {tmp_path / 'key'} (a key is made at https://acme.example/keys)"
    assert [f"backends.studio.api_key: no key: {place}"] == [str(problem) for problem in missing_keys(config)]
    with pytest.raises(ConfigError, match=re.escape(f"backend 'studio' has no API key: {place}")):
        config.backends["studio"].require_key()


def test_a_key_file_that_cannot_be_read_is_a_mistake(read: Read, tmp_path: Path) -> None:
    """It is found when the configuration is read, and not when the first job is paid."""
    (tmp_path / "key").mkdir()
    expected = f"backends.studio.api_key: the file {tmp_path / 'key'} cannot be read: Is a directory (line 3)"
    assert [expected] == mistakes(read, backend(key="file:key"))


def test_a_backend_without_api_key_takes_its_provider_s_variable(read: Read) -> None:
    """The usual variable need not be spelled out."""
    found = read('[backends.studio]\nprovider = "acme"\n', ACME_KEY=KEY).backends["studio"]
    assert (Secret(KEY), "env ACME_KEY") == (found.api_key, found.key_source)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f'[backends.a]\nprovider = "{KEY}"', "a.provider: a text as long as a key is no installed provider; installed are"),
        (
            backend(f'max_concurrent = "{KEY}"'),
            "studio.max_concurrent: a text as long as a key cannot be used; give a whole number",
        ),
        (backend(f'"{KEY}" = 1'), 'backends.studio."***": unknown key; known are provider'),
        (backend(f"[backends.studio.{KEY}]"), 'backends.studio."***": unknown key; known are provider'),
        (backend(f"limits.{KEY}.submits = 1"), 'limits."***": a text as long as a key is no medium and no model of acme'),
        (f'default = "{KEY}"\n{backend()}', "default: a text as long as a key is no backend and no route"),
        (backend(f'[routes.all]\nbackends = ["{KEY}"]'), "routes.all.backends: a text as long as a key is no backend"),
        (backend(f'[routes.all]\nbackends = ["studio"]\nprefer = "{KEY}"'), "prefer: a text as long as a key is not one of order"),
        (f'[backends."{KEY}="]\nprovider = "acme"', 'backends."***": a text as long as a key cannot be a name'),
        (f'"{KEY}" = 1\n{backend()}', '"***": unknown key; known are backends'),
    ],
)
def test_a_key_in_a_wrong_place_is_not_shown(read: Read, text: str, expected: str) -> None:
    """The message says where it stands, and not what is there."""
    (found,) = mistakes(read, text)
    assert (True, False) == (expected in found, KEY in found)


def test_a_key_of_another_type_is_not_shown(read: Read) -> None:
    """A number may be a key as well."""
    (found,) = mistakes(read, '[backends.studio]\nprovider = "acme"\napi_key = 123456789')
    assert 'backends.studio.api_key: it is not a string; write "env:VARIABLE" or "file:/path" (line 3)' == found


@pytest.mark.parametrize("key", [f"{KEY} x", f"{KEY}\nx", f"ü{KEY}", f"env:{KEY}"])
def test_a_key_that_cannot_be_one_is_a_mistake(read: Read, key: str) -> None:
    """It is reported without being shown."""
    (found,) = mistakes(read, backend(key=key))
    assert found.startswith("backends.studio.api_key: ")


def test_a_bad_key_in_a_variable_names_the_variable(read: Read) -> None:
    """Without a file, the environment is what has the mistake."""
    with pytest.raises(ConfigError) as caught:
        read(ACME_KEY=f"{KEY}\nx")
    assert ("the environment has 1 mistake", "ACME_KEY") == (caught.value.message, caught.value.problems[0].field)
    assert KEY not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (backend(), "set the environment variable ACME_KEY (a key is made at https://acme.example/keys)"),
        ('[backends.studio]\nprovider = "zeta"', "set the environment variable ZETA_KEY"),
        ('[backends.studio]\nprovider = "zeta"\napi_key = "file:/dev/null"', "put it into the file /dev/null"),
        ('[backends.studio]\nprovider = "zeta"\napi_key = ""', 'write api_key = "env:VARIABLE" into [backends.studio]'),
        ('[backends.studio]\nprovider = "broken"', 'write api_key = "env:VARIABLE" into [backends.studio]'),
    ],
)
def test_a_missing_key_matters_only_when_it_is_used(read: Read, text: str, expected: str) -> None:
    """The file loads, a check can tell what is missing, and using the backend says what to do."""
    config = read(text)
    assert [f"backends.studio.api_key: no key: {expected}"] == [str(problem) for problem in missing_keys(config)]
    with pytest.raises(ConfigError) as caught:
        config.backends["studio"].require_key()
    assert f"backend 'studio' has no API key: {expected}" == str(caught.value)


def test_a_key_that_is_there_is_given(read: Read) -> None:
    """Nothing is missing then."""
    config = read(backend(), ACME_KEY=KEY)
    assert (Secret(KEY), ()) == (config.backends["studio"].require_key(), missing_keys(config))


# Base URLs and a provider's own settings.


def test_a_base_url_comes_from_the_file_before_the_environment(read: Read) -> None:
    """The provider's own variable helps where the file is silent; the slash at the end goes."""
    silent = read(backend(), ACME_URL="http://127.0.0.1:9/")
    spoken = read(backend('base_url = "https://proxy.example/"'), ACME_URL="http://127.0.0.1:9")
    assert ("http://127.0.0.1:9", "https://proxy.example") == (
        silent.backends["studio"].base_url,
        spoken.backends["studio"].base_url,
    )


def test_a_bad_base_url_is_a_mistake_where_it_is_written(read: Read) -> None:
    """In the file it is at its line; from the environment it is at the variable, once."""
    two = backend() + '[backends.other]\nprovider = "acme"\n'
    (found,) = mistakes(read, two, ACME_URL="http://acme.example")
    assert found.startswith("ACME_URL: 'http://acme.example' does not begin with https://; ")
    (found,) = mistakes(read, backend('base_url = ""'))
    assert "backends.studio.base_url: '' is not a URL; give https://host/path (line 4)" == found


def test_a_password_in_a_base_url_is_not_shown(read: Read) -> None:
    """A proxy's password is a secret as well."""
    (found,) = mistakes(read, backend('base_url = "https://me:hunter2@proxy.example"'))
    assert "hunter2" not in found


@pytest.mark.parametrize(
    ("extra", "env", "expected"),
    [
        ("", {}, "https://up.example"),
        ("", {"ACME_UPLOAD": "https://env.example"}, "https://env.example"),
        ('upload_url = "https://file.example"', {"ACME_UPLOAD": "https://env.example"}, "https://file.example"),
    ],
)
def test_a_setting_comes_from_the_file_then_the_environment_then_its_default(
    read: Read, extra: str, env: dict[str, str], expected: str
) -> None:
    """What is nearest to the user counts."""
    assert {"upload_url": expected, "region": ""} == read(backend(extra), **env).backends["studio"].settings


# The journal.


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", JournalConfig()),
        ('path = ""', JournalConfig()),
        ('path = ":memory:"', JournalConfig(memory=True)),
        ('path = "/var/jobs.db"', JournalConfig(path=Path("/var/jobs.db"))),
    ],
)
def test_a_journal_is_somewhere_or_in_memory(read: Read, text: str, expected: JournalConfig) -> None:
    """An empty path is the default place."""
    journal = read(f"[journal]\n{text}").journal
    assert expected == journal


def test_a_journal_tells_its_file(tmp_path: Path) -> None:
    """Memory has none."""
    assert (tmp_path, None) == (JournalConfig(path=tmp_path).place(), JournalConfig(memory=True).place())


def test_a_journal_is_a_database_where_a_url_says_so(read: Read) -> None:
    """Its jobs are driven by workers, unless this process is to drive its own."""
    journal = read(f'[journal]\npath = "{DATABASE}"').journal
    assert (JournalConfig(url=DatabaseUrl.parse(DATABASE)), "procrastinate") == (journal, journal.engine)
    assert DatabaseUrl.parse(DATABASE) == journal.place()
    alone = read(f'[journal]\npath = "{DATABASE}"\nengine = "in-process"\nlimiter = "journal"').journal
    assert JournalConfig(url=DatabaseUrl.parse(DATABASE), engine="in-process") == alone
    assert "in-process" == alone.engine == JournalConfig().engine == JournalConfig(memory=True).engine


def test_a_database_s_url_may_be_written_elsewhere(read: Read, tmp_path: Path) -> None:
    """In a variable or a file, which is named in its place wherever it is shown to be used."""
    (tmp_path / "url").write_text(DATABASE)
    found = [read('[journal]\npath = "env:JOBS"', JOBS=DATABASE).journal, read('[journal]\npath = "file:url"').journal]
    assert [DatabaseUrl.parse(DATABASE)] * 2 == [journal.url for journal in found]
    assert ["env:JOBS", f"file:{tmp_path / 'url'}"] == [journal.url.named for journal in found if journal.url]


def test_where_it_is_written_and_not_there_yet_only_using_it_is_an_error(read: Read) -> None:
    """A file can be checked where its secrets are not; no other journal is used instead."""
    config = read('[journal]\npath = "env:JOBS"\nengine = "procrastinate"')
    assert (Problem("journal.path", "no place: set the environment variable JOBS"),) == missing_place(config)
    with pytest.raises(ConfigError, match="nobody knows where the record of jobs is: set the environment variable JOBS"):
        config.journal.place()
    absent = read('[journal]\npath = "file:none"').journal.advice
    assert absent.startswith("put the database's URL into the file ")
    assert () == missing_place(read(""))


def test_a_password_in_the_file_warns(read: Read, caplog: pytest.LogCaptureFixture) -> None:
    """As a literal key does, and never shows it; a URL without one is no secret."""
    config = read(f'[journal]\npath = "{DATABASE}"')
    advice = 'write "env:GENBRIDGE_JOURNAL" or "file:/path" to keep it out of the file'
    expected = f"journal.path: it holds the password of a database; {advice}"
    assert [expected] == [str(concern) for concern in config.concerns]
    assert [f"{config.source}: {expected}"] == caplog.messages
    assert () == read('[journal]\npath = "postgresql://me@db/jobs"').concerns
    assert () == read('[journal]\npath = "env:JOBS"', JOBS=DATABASE).concerns


@pytest.mark.parametrize(
    "written", ["{}", "postgresql:/me:{}@db", "postgresql://me:{}@db:x", "mysql://me:{}@db", "host=db password={}"]
)
def test_no_mistake_repeats_a_password(read: Read, written: str) -> None:
    """Wherever in the table it stands, and however much of a URL is around it."""
    text = json.dumps(written.format(KEY))
    found = mistakes(read, f"[journal]\nurl = {text}\nengine = {text}\nlimiter = {text}\n{json.dumps(KEY)} = {text}\n")
    assert 4 == len(found)
    if written != "{}":
        (found_path,) = mistakes(read, f"[journal]\npath = {text}")
        assert found_path.startswith("journal.path: ")


# Without backends in a file.


def test_a_provider_whose_variable_is_set_is_a_backend(read: Read) -> None:
    """It has its provider's name, and its base URL and settings from the environment too."""
    config = read(ACME_KEY=KEY, ACME_URL="http://localhost:9", ACME_UPLOAD="https://env.example")
    acme = BackendConfig(
        name="acme",
        provider="acme",
        api_key=Secret(KEY),
        key_source="env ACME_KEY",
        key_url="https://acme.example/keys",
        base_url="http://localhost:9",
        settings={"upload_url": "https://env.example", "region": ""},
    )
    assert {"acme": acme} == config.backends


def test_a_file_without_backends_leaves_them_to_the_environment(read: Read) -> None:
    """A default and routes may name providers, whether or not their keys are set here."""
    config = read('default = "all"\n[routes.all]\nbackends = ["acme", "zeta"]\n[journal]\npath = ":memory:"', ACME_KEY=KEY)
    assert (["acme"], True) == (list(config.backends), config.journal.memory)
    with pytest.raises(ConfigError, match="there is no backend 'zeta': set the environment variable ZETA_KEY"):
        config.candidates()


def test_a_file_with_backends_has_all_of_them(read: Read) -> None:
    """A key in the environment does not add to what is written down."""
    assert ["studio"] == list(read(backend(), ACME_KEY=KEY, ZETA_KEY=KEY).backends)


# A broken package.


def test_a_broken_provider_hurts_only_the_backends_that_use_it(read: Read) -> None:
    """The file loads; what its own keys mean nobody can say, so that texts are kept."""
    config = read(backend('[backends.other]\nprovider = "broken"\nzone = "x"\ntimes = 5'), ACME_KEY=KEY)
    assert Secret(KEY) == config.backends["studio"].api_key
    assert {"zone": "x"} == config.backends["other"].settings


def test_without_a_file_a_broken_provider_says_so_when_it_is_asked_for(read: Read) -> None:
    """The others go on working."""
    config = read(ACME_KEY=KEY)
    assert ["acme"] == [each.name for each in config.candidates().backends]
    with pytest.raises(ConfigError, match="there is no backend 'broken': the provider 'broken' cannot be used: it does not import"):
        config.candidates("broken")


# Finding a backend.


STUDIO = BackendConfig(name="studio", provider="acme")
SPARE = BackendConfig(name="spare", provider="zeta")
BOTH = Config(
    backends={"studio": STUDIO, "spare": SPARE},
    routes={"video": Route(name="video", backends=("spare", "studio"), prefer="cheapest")},
)


def test_a_backend_s_name_stands_for_itself() -> None:
    """It is the one candidate."""
    assert Candidates(name="spare", backends=(SPARE,)) == BOTH.candidates("spare")


def test_a_route_s_name_stands_for_its_backends_in_order() -> None:
    """The rule for choosing comes along."""
    assert Candidates(name="video", backends=(SPARE, STUDIO), prefer="cheapest") == BOTH.candidates("video")


def test_no_name_is_the_default() -> None:
    """It may be a route."""
    assert "video" == Config(backends=BOTH.backends, routes=BOTH.routes, default="video").candidates().name


def test_no_name_is_the_only_backend() -> None:
    """With one backend there is nothing to choose."""
    assert (STUDIO,) == Config(backends={"studio": STUDIO}).candidates(None).backends


def test_no_name_among_several_lists_them() -> None:
    """The user is asked to choose, by all the names there are."""
    with pytest.raises(ConfigError, match=r"Name one of studio, spare, video, or set default in genbridge\.toml"):
        BOTH.candidates()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("stuido", "there is no backend or route 'stuido'; did you mean 'studio'?"),
        ("x", "there is no backend or route 'x'; there are studio, spare, video"),
        (5, "there is no backend or route '5'; there are studio, spare, video"),
    ],
)
def test_an_unknown_name_gets_a_suggestion(name: Any, expected: str) -> None:
    """Or the list, when nothing is near."""
    with pytest.raises(ConfigError) as caught:
        BOTH.candidates(name)
    assert expected == str(caught.value)


@pytest.mark.parametrize("name", [None, "nothing-like-it"])
def test_with_nothing_configured_the_ways_out_are_listed(read: Read, name: str | None) -> None:
    """The variables, the file and the sandbox."""
    with pytest.raises(ConfigError) as caught:
        read().candidates(name)
    assert """\
no backend is configured: set a provider's environment variable, or name a backend in genbridge.toml, \
or try it without a key in the sandbox (--sandbox, Client.sandbox())
  acme: set the environment variable ACME_KEY (a key is made at https://acme.example/keys)
  broken: the provider 'broken' cannot be used: it does not import
  zeta: set the environment variable ZETA_KEY""" == str(caught.value)


def test_a_provider_without_its_key_says_which_variable(read: Read) -> None:
    """Whoever asks for it by name gets the one line that matters."""
    with pytest.raises(ConfigError, match=r"there is no backend 'zeta': set the environment variable ZETA_KEY$"):
        read(ACME_KEY=KEY).candidates("zeta")


# As a whole.


def test_the_installed_providers_are_the_default(tmp_path: Path) -> None:
    """Without being given providers, it knows those that are installed."""
    (tmp_path / "genbridge.toml").write_text('[backends.a]\nprovider = "none-such"\n')
    with pytest.raises(ConfigError, match="installed are imini, meigen, sseedance"):
        load(env={}, cwd=tmp_path)


def test_importing_it_loads_neither_pluggy_nor_platformdirs() -> None:
    """What reads a file need not load what finds packages and directories."""
    program = "import sys, genbridge.config; print(sorted({'pluggy', 'platformdirs', 'aiohttp', 'asyncio'} & set(sys.modules)))"
    assert "[]\n" == subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout


_JSON: st.SearchStrategy[Any] = st.recursive(
    st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just(KEY),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                (
                    "backends",
                    "routes",
                    "default",
                    "journal",
                    "downloads",
                    "studio",
                    "provider",
                    "api_key",
                    "base_url",
                    "poll",
                    "path",
                )
            )
            | st.text(max_size=4),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@given(st.dictionaries(st.sampled_from(("backends", "routes", "default", "journal", "downloads")), _JSON))
def test_any_document_is_read_or_refused(document: dict[str, Any]) -> None:
    """Whatever a file says, it becomes values and mistakes, and never an exception; a key in its place is not shown."""
    config, problems = parse(document, source=None, env={}, providers=Providers())
    assert isinstance(config, Config)
    assert all(problem.field for problem in problems)


@given(st.sampled_from(("env:", "file:", "")), st.text(min_size=4))
@example("file:", "~\0000")
def test_no_report_shows_a_key(kind: str, key: str) -> None:
    """However odd the key, its text is not in what is wrong with it, unless it is a short name of a file or a variable."""
    secret = f"{key}{KEY}"
    assume(not {"/", "\\"} & set(secret))
    document = {"backends": {"studio": {"provider": "acme", "api_key": kind + secret}}}
    config, problems = parse(document, source=None, env={}, providers=Providers())
    words = f"{config!r} {problems!r} {missing_keys(config)!r}"
    assert KEY not in words


def test_a_literal_key_of_a_backend_on_this_machine_is_no_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The sandbox's key is no secret."""
    file = tmp_path / "genbridge.toml"
    file.write_text('[backends.x]\nprovider = "meigen"\napi_key = "meigen_sk_sandbox"\nbase_url = "http://127.0.0.1:8801"\n')
    assert load(file, env={}).backends["x"].api_key is not None
    assert [] == caplog.records
