"""What one run of the command line knows."""

from __future__ import annotations

from pathlib import Path

import pytest

import genbridge
from genbridge.cli.session import Session, connect
from genbridge.config import state_dir


def test_the_sandbox_keeps_its_jobs_where_the_environment_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Else in the user's own directory."""
    monkeypatch.delenv("GENBRIDGE_STATE_DIR", raising=False)
    own = state_dir()
    monkeypatch.setenv("GENBRIDGE_STATE_DIR", str(tmp_path))

    assert "genbridge" == own.name
    assert tmp_path == state_dir()


@pytest.mark.parametrize(
    ("session", "expected"),
    [
        (Session(), "genbridge jobs wait 1"),
        (Session(sandbox=True), "genbridge --sandbox jobs wait 1"),
        (
            Session(config=Path("my file.toml"), journal=Path("j.db")),
            "genbridge --config 'my file.toml' --journal j.db jobs wait 1",
        ),
    ],
)
def test_a_proposed_command_reaches_the_same_jobs(session: Session, expected: str) -> None:
    """It can be pasted into a shell."""
    assert expected == session.command("jobs", "wait", "1")


async def test_a_run_opens_the_configured_client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the file and the record that were named."""
    file, journal = tmp_path / "genbridge.toml", tmp_path / "my.db"
    file.write_text('[backends.studio]\nprovider = "imini"\n[journal]\npath = ":memory:"\n')

    async with connect(Session(config=file)) as client:
        assert file == client.config.source
    async with connect(Session(config=file, journal=journal)) as client:
        assert [] == [job async for job in client.jobs()]

    assert journal.exists()
    assert isinstance(client, genbridge.Client)
