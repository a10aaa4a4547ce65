"""What is on record, for who only looks."""

from __future__ import annotations

from pathlib import Path

import attrs
import pytest
from judges import job_at
from postgres import Server

from genbridge import Client, ConfigError, ImageRequest, JobStatus, JournalError, Media
from genbridge.budgets import Budget
from genbridge.databases import DatabaseUrl
from genbridge.journal import open_journal
from genbridge.ledger import Ledger


async def record(journal: Path, *prompts: str) -> list[str]:
    """Record a job for each prompt, at an emulated service, and return their ids."""
    async with Client.sandbox(journal=journal) as client:
        return [(await client.submit(ImageRequest(prompt))).id for prompt in prompts]


async def test_it_has_the_jobs_that_a_client_has(tmp_path: Path) -> None:
    """The newest first, as many as are asked for, and each by its id."""
    first, second, third = await record(tmp_path / "jobs.db", "one", "two", "three")
    async with Ledger(journal=tmp_path / "jobs.db") as ledger:
        assert [third, second, first] == [job.id async for job in ledger.jobs()]
        assert [third, second] == [job.id async for job in ledger.jobs(limit=2)]
        assert [] == [job.id async for job in ledger.jobs(backend="another")]
        assert "one" == ledger.job(first).request.prompt
        assert ["imini"] == await ledger.backends()


async def test_a_job_that_is_not_on_record_is_an_error(tmp_path: Path) -> None:
    """It says how to see those that are."""
    async with Ledger(journal=tmp_path / "jobs.db") as ledger:
        with pytest.raises(JournalError, match="`genbridge jobs list` shows them"):
            ledger.job("nobody")


async def test_it_is_where_the_configuration_says(tmp_path: Path) -> None:
    """Whatever is wrong with the backends there: what was paid for can be seen all the same."""
    (tmp_path / "genbridge.toml").write_text('[backends.studio]\nprovider = "nobody"\n[journal]\npath = "my.db"\n')
    (made,) = await record(tmp_path / "my.db", "one")
    async with Ledger(tmp_path / "genbridge.toml") as ledger:
        assert [made] == [job.id async for job in ledger.jobs()]


def test_a_mistake_in_where_it_is_is_an_error(tmp_path: Path) -> None:
    """It says which."""
    (tmp_path / "genbridge.toml").write_text('[journal]\npath = "mysql://here"\n')
    with pytest.raises(ConfigError, match="1 mistake") as caught:
        Ledger(tmp_path / "genbridge.toml")
    assert ["journal.path"] == [problem.field for problem in caught.value.problems]


async def test_it_may_be_in_a_database(database: str, tmp_path: Path) -> None:
    """Named by its URL, or by a configuration that says where that is written."""
    url = DatabaseUrl.parse(database)
    journal = open_journal(url)
    await journal.open()
    job = attrs.evolve(job_at("imini", Media.IMAGE, "p1"), id="one", status=JobStatus.PENDING, provider_id=None)
    await journal.add(job, Budget())
    await journal.aclose()
    (tmp_path / "url").write_text(database)
    (tmp_path / "genbridge.toml").write_text('[journal]\npath = "file:url"\n')
    for ledger in (Ledger(journal=url), Ledger(tmp_path / "genbridge.toml")):
        async with ledger:
            assert (["one"], "one") == ([each.id async for each in ledger.jobs()], ledger.job("o").id)


async def test_who_may_only_read_a_database_can_look(database: str, postgres: Server, caplog: pytest.LogCaptureFixture) -> None:
    """Nothing is written, nor waits for those who write."""
    import psycopg

    with psycopg.connect(database) as connection:
        connection.execute("create role reader login password 'only-to-read'")
        connection.execute("grant usage on schema genbridge to reader")
        connection.execute("grant select on all tables in schema genbridge to reader")
    url = DatabaseUrl.parse(database.replace(f"postgres:{postgres.password}", "reader:only-to-read"))
    async with Ledger(journal=url) as ledger:
        assert [] == [job async for job in ledger.jobs()]
    assert [] == caplog.messages


async def test_a_database_that_is_not_there_is_no_empty_record(postgres: Server) -> None:
    """Only a look into it can tell, and a mistyped one is an error."""
    with pytest.raises(JournalError, match="there is no database 'nowhere' on the server"):
        async with Ledger(journal=DatabaseUrl.parse(postgres.url("nowhere"))):
            pass


async def test_a_record_that_is_not_there_is_empty_and_is_not_made(tmp_path: Path) -> None:
    """A mistyped path leaves no folders behind."""
    async with Ledger(journal=tmp_path / "nowhere" / "jobs.db") as ledger:
        assert ([], []) == ([job.id async for job in ledger.jobs()], await ledger.backends())
    assert not (tmp_path / "nowhere").exists()
