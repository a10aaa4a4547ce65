"""`genbridge db`, on a real server."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from postgres import Server

from genbridge.cli.session import open_ledger

Cli = Callable[..., Any]


@pytest.fixture
def empty(postgres: Server, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the URL of a database without tables, which is in a variable too."""
    url = postgres.make_database()
    monkeypatch.setenv("JOBS_DB", url)
    return url


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def shown(url: str, server: Server) -> str:
    """Return a URL as it may be shown."""
    return url.replace(server.password, "***")


def run_many(sql: str, url: str) -> None:
    """Change something in a database."""
    import psycopg

    with psycopg.connect(url) as connection:
        connection.execute(sql.encode())


def test_an_upgrade_makes_the_tables_and_then_has_nothing_to_do(cli: Cli, empty: str, postgres: Server) -> None:
    """It says what it did."""
    first, again = cli("db", "upgrade", "--db", empty), cli("db", "upgrade", "--db", "env:JOBS_DB")
    assert (0, "done: procrastinate schema\ndone: genbridge 1\n") == (first.exit_code, first.stdout)
    assert (0, "") == (again.exit_code, again.stdout)
    assert f"{shown(empty, postgres)} was up to date; nothing was to be done\n" == again.stderr


def test_an_upgrade_says_it_in_json(cli: Cli, empty: str, postgres: Server) -> None:
    """With the tables as they are then."""
    document = json.loads(cli("db", "upgrade", "--db", empty, "--json").stdout)
    assert (shown(empty, postgres), ["procrastinate schema", "genbridge 1"]) == (document["database"], document["taken"])
    assert (["genbridge", "procrastinate"], []) == ([table["of"] for table in document["tables"]], document["lacking"])
    assert all(table["wanted"] == table["there"] for table in document["tables"])


@pytest.mark.parametrize("words", ["--db env:JOBS_DB", "--journal env:JOBS_DB", "--config my.toml", "--config file.toml"])
def test_the_database_may_be_named_in_any_way(cli: Cli, empty: str, folder: Path, words: str) -> None:
    """And what is to be run is said in the same way, without the password."""
    (folder / "url").write_text(empty)
    (folder / "my.toml").write_text('[journal]\npath = "env:JOBS_DB"\n')
    (folder / "file.toml").write_text('[journal]\npath = "file:url"\n')
    run = cli("db", "status", *words.split())
    named = words.replace("--db", "--journal")
    assert (3, f"2 steps to be done: genbridge {named} db upgrade\n") == (run.exit_code, run.stderr)
    assert ["genbridge", "none", "1"] == run.stdout.splitlines()[2].split()
    cli("db", "upgrade", *words.split())
    after = cli("db", "status", *words.split())
    assert (0, "", ["genbridge", "1", "1"]) == (after.exit_code, after.stderr, after.stdout.splitlines()[2].split())


def test_a_password_that_a_command_line_lacks_is_asked_for(cli: Cli, empty: str, postgres: Server, folder: Path) -> None:
    """It is never printed; a line that leaves it out says so, wherever it is said what to run."""
    note = "(put the password in for ***, or the URL into an environment variable and give env:NAME)"
    runs = [cli(*words, connect=open_ledger) for words in (("db", "status", "--db", empty), ("jobs", "list", "--journal", empty))]
    assert [True, True] == [run.stderr.endswith(f" {note}\n") for run in runs]
    assert postgres.password not in "".join(run.stderr for run in runs)


def test_tables_of_a_newer_release_are_left_alone(cli: Cli, database: str) -> None:
    """It is genbridge that has to be upgraded then, whatever is asked for."""
    run_many("insert into genbridge.steps (part, name) values ('genbridge', '99')", database)
    upgrade, status = (cli("db", word, "--db", database) for word in ("upgrade", "status"))
    listing = cli("jobs", "list", "--journal", database, connect=open_ledger)
    assert [3] * 3 == [run.exit_code for run in (upgrade, status, listing)]
    expected = "was made by a newer genbridge (its version is 2, this one reads 1); upgrade genbridge"
    assert (True, True) == (expected in upgrade.stderr, expected in listing.stderr)
    assert "the tables are of a newer release; upgrade genbridge\n" == status.stderr


def test_status_has_its_json(cli: Cli, empty: str) -> None:
    """And the exit code says whether anything is to be done."""
    run = cli("db", "status", "--db", empty, "--json")
    document = json.loads(run.stdout)
    assert (3, [None, None]) == (run.exit_code, [table["there"] for table in document["tables"]])
    assert ["procrastinate schema", "genbridge 1"] == document["lacking"]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda url, server: url + "x", "create it with: createdb -h 127.0.0.1 -p"),
        (lambda url, server: url.replace(server.password, "no-such-password"), "refuses user 'postgres' with this password"),
        (lambda url, server: url.replace(f":{server.password}", ""), "asks user 'postgres' for a password"),
        (lambda url, server: url.replace(f":{server.port}", ":1"), "cannot be reached (Connection refused); see that it runs"),
        (lambda url, server: url.replace("127.0.0.1", "db.invalid"), "cannot be reached ("),
        (lambda url, server: url + "?sslmode=require", "server does not support SSL"),
    ],
)
def test_what_is_in_the_way_is_said(cli: Cli, postgres: Server, change: Callable[[str, Server], str], expected: str) -> None:
    """With what to do, and as the setup's fault."""
    for command in (("db", "upgrade"), ("db", "status"), ("jobs", "list")):
        run = cli(*command, "--journal", change(postgres.url(), postgres), connect=open_ledger)
        assert (3, "") == (run.exit_code, run.stdout)
        assert expected in run.stderr
        assert postgres.password not in run.stderr


def test_a_database_without_tables_is_to_be_upgraded(cli: Cli, empty: str) -> None:
    """The command that does it names the database as the run did."""
    run = cli("jobs", "list", "--journal", "env:JOBS_DB", connect=open_ledger)
    assert (3, True) == (run.exit_code, "has no tables yet; run: genbridge db upgrade --db env:JOBS_DB" in run.stderr)


# Without a server.


@pytest.mark.parametrize(
    ("words", "code", "expected"),
    [
        ("--db jobs.db", 2, "it is a file's path; give a URL, as postgresql://…, env:NAME or file:PATH"),
        ("--db ", 2, "it is empty; write the path of a file, or a database's URL as postgresql://"),
        ("--journal ", 2, "it is empty; write the path of a file, or a database's URL as postgresql://"),
        ("--db env:NONE", 2, "nobody knows where the record of jobs is: set the environment variable NONE"),
        ("--db postgresql://me:hunter2@x/y@db:x", 2, "the database's URL cannot be used"),
        ("--journal jobs.db", 3, "the record of jobs is in the file 'jobs.db'; name a database with --db"),
        ("--config memory.toml", 3, "the record of jobs is in memory; name a database with --db"),
        ("--config memory.toml", 3, "file:PATH, or as path under [journal] in the configuration"),
        ("--config none.toml", 3, "nobody knows where the record of jobs is: set the environment variable NONE"),
    ],
)
def test_it_is_for_databases(cli: Cli, folder: Path, words: str, code: int, expected: str) -> None:
    """A file is upgraded by itself when it is opened."""
    (folder / "memory.toml").write_text('[journal]\npath = ":memory:"\n')
    (folder / "none.toml").write_text('[journal]\npath = "env:NONE"\n')
    run = cli("db", "upgrade", *words.split(" "))
    assert (code, True) == (run.exit_code, expected in run.stderr)
    assert "hunter2" not in run.stderr


@pytest.mark.parametrize("command", [("db", "upgrade"), ("jobs", "list")])
def test_the_packages_that_it_takes_are_named(cli: Cli, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]) -> None:
    """Where they are not installed."""
    monkeypatch.setitem(sys.modules, "psycopg", None)
    run = cli(*command, "--journal", "postgresql://db/jobs", connect=open_ledger)
    assert (3, True) == (run.exit_code, 'pip install "genbridge[distributed]"' in run.stderr)
