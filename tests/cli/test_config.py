"""`genbridge config check`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from genbridge.cli.config import warnings
from genbridge.config import BackendConfig, Config, Secret
from genbridge.errors import PluginError, Problem
from genbridge.plugins import installed

Cli = Callable[..., Any]

GOOD = """
default = "video"

[backends.studio]
provider = "meigen"
api_key = "env:STUDIO_KEY"

[backends.imini]
provider = "imini"

[journal]
path = "jobs.db"

[routes.video]
backends = ["studio", "imini"]
prefer = "cheapest"
"""
BAD = """
default = "vidio"

[backends.studio]
provider = "meigne"
max_concurent = 3
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Write a file without a mistake."""
    path = tmp_path / "genbridge.toml"
    path.write_text(GOOD)
    return path


def test_a_good_file_is_told_with_what_it_comes_to(cli: Cli, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key that is missing is a warning, and no error."""
    monkeypatch.setenv("STUDIO_KEY", "sk-very-secret")

    run = cli("config", "check", str(file))

    expected = [
        f"ok: {file}",
        "  backends  studio (meigen), imini",
        "  route     video: studio, imini (cheapest)",
        "  default   video",
        f"  journal   {file.parent / 'jobs.db'}",
    ]
    assert (0, expected) == (run.exit_code, run.stdout.splitlines())
    assert run.stderr.startswith("warning: backends.imini.api_key: no key: set the environment variable IMINI_API_KEY")
    assert "secret" not in run.stdout + run.stderr


@pytest.mark.parametrize(
    "words", [["config", "check", "{}"], ["--config", "{}", "config", "check"], ["config", "check", "--config", "{}"]]
)
def test_every_mistake_is_a_line(cli: Cli, file: Path, words: list[str]) -> None:
    """Wherever the file is named."""
    file.write_text(BAD)

    run = cli(*(word.format(file) for word in words))

    assert (3, "") == (run.exit_code, run.stdout)
    heading, *problems = run.stderr.splitlines()
    assert f"error: {file} has 3 mistakes" == heading
    assert ["backends.studio.max_concurent", "backends.studio.provider", "default"] == sorted(
        line.split(":")[0].strip() for line in problems
    )
    assert "did you mean 'meigen'?" in run.stderr


def test_a_good_file_has_json(cli: Cli, file: Path) -> None:
    """With the names of what there is, and the warnings."""
    document = json.loads(cli("config", "check", str(file), "--json").stdout)

    warned = document.pop("warnings")
    expected = {
        "ok": True,
        "source": str(file),
        "default": "video",
        "backends": ["studio", "imini"],
        "routes": ["video"],
        "journal": str(file.parent / "jobs.db"),
        "engine": "in-process",
        "errors": [],
    }
    assert expected == document
    assert ["backends.studio.api_key", "backends.imini.api_key"] == [warning["field"] for warning in warned]


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("env:JOBS_DB", ("postgresql://me:***@db/jobs", "postgresql://me:***@db/jobs (procrastinate)")),
        ("env:NONE", (None, "unknown")),
        (":memory:", (None, "in memory")),
    ],
)
def test_a_journal_is_told_without_its_password(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, file: Path, written: str, expected: tuple[str | None, str]
) -> None:
    """Where it is a database; where nobody knows it yet is a warning, as with a key."""
    place, words = expected
    monkeypatch.setenv("JOBS_DB", "postgresql://me:hunter2@db/jobs")
    file.write_text(f'[journal]\npath = "{written}"\n')

    run, document = cli("config", "check", str(file)), json.loads(cli("config", "check", str(file), "--json").stdout)

    assert (0, f"  journal   {words}") == (run.exit_code, run.stdout.splitlines()[-1])
    assert place == document["journal"]
    warned = "warning: journal.path: no place: set the environment variable NONE" in run.stderr
    assert (written == "env:NONE") == warned == ("journal.path" in [warning["field"] for warning in document["warnings"]])
    assert "hunter2" not in run.stdout + run.stderr + json.dumps(document)


def test_a_bad_file_has_json(cli: Cli, file: Path) -> None:
    """In the same form."""
    file.write_text(BAD)

    run = cli("config", "check", str(file), "--json")

    document = json.loads(run.stdout)
    assert (3, False, [], 3) == (run.exit_code, document["ok"], document["backends"], len(document["errors"][0]["problems"]))


def test_without_a_file_the_environment_is_checked(cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A provider whose key is set is a backend, and the only one the default."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("IMINI_API_KEY", "sk-very-secret")
    monkeypatch.setenv("GENBRIDGE_CONFIG", "")

    run = cli("config", "check")

    assert ["ok: no file; the environment alone", "  backends  imini", "  default   imini"] == run.stdout.splitlines()[:3]
    assert "" == run.stderr


def test_a_configuration_of_nothing_says_what_could_be_set(cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """There is no mistake in it, and nothing to use."""
    monkeypatch.chdir(tmp_path)

    run = cli("config", "check")

    assert (0, "  backends  none", "  default   none") == (run.exit_code, *run.stdout.splitlines()[1:3])
    assert "warning: backends: there is none" == run.stderr.splitlines()[0]
    assert "warning: meigen: set the environment variable MEIGEN_API_TOKEN" in run.stderr


def test_a_record_in_memory_is_told(cli: Cli, file: Path) -> None:
    """It has no path."""
    file.write_text(GOOD.replace("jobs.db", ":memory:"))

    assert "  journal   in memory" == cli("config", "check", str(file)).stdout.splitlines()[-1]
    assert json.loads(cli("config", "check", str(file), "--json").stdout)["journal"] is None


def test_a_key_in_the_file_is_warned_about_and_not_shown(cli: Cli, file: Path) -> None:
    """The log says where it is."""
    file.write_text(GOOD.replace("env:STUDIO_KEY", "sk-very-secret"))

    run = cli("config", "check", str(file))

    assert 1 == run.stderr.count("backends.studio.api_key")
    assert "secret" not in run.stdout + run.stderr


def test_json_has_every_warning(cli: Cli, file: Path) -> None:
    """Also that of a key in the file, which is on stderr for people."""
    file.write_text(GOOD.replace("env:STUDIO_KEY", "sk-very-secret"))

    run = cli("config", "check", str(file), "--json")

    words = [f"{warning['field']}: {warning['message']}" for warning in json.loads(run.stdout)["warnings"]]
    assert 'backends.studio.api_key: it is a key itself; write "env:MEIGEN_API_TOKEN"' in words[0]
    assert ["backends.studio.api_key", "backends.imini.api_key"] == [line.split(": ")[0] for line in words]
    assert "secret" not in run.stdout + run.stderr


def test_the_sandbox_has_no_configuration_to_check(cli: Cli, file: Path) -> None:
    """It is said that what is checked is the one that is used without it."""
    for words in (("config", "check", str(file)), ("config", "check", str(file), "--json")):
        plain, sandboxed = cli(*words), cli("--sandbox", *words)

        assert (plain.exit_code, plain.stdout) == (sandboxed.exit_code, sandboxed.stdout)
        assert (
            "the sandbox has no configuration; this is the one that is used without --sandbox" == sandboxed.stderr.splitlines()[0]
        )


def test_a_provider_that_cannot_be_used_is_warned_about() -> None:
    """With the reason that `genbridge backends` gives; the key of another is another matter."""

    class Broken(dict[str, Any]):
        def __missing__(self, name: str) -> Any:
            raise PluginError(f"{name} was made for another genbridge")

    backends = {name: BackendConfig(name=name, provider=name, api_key=Secret("sk")) for name in ("good", "bad")}

    found = warnings(Config(backends=backends), Broken(good=installed.load("imini").provider))

    assert [Problem("backends.bad", "unusable: bad was made for another genbridge")] == found
