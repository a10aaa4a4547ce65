"""A PostgreSQL server of a test's own: made in a temporary folder, on a free port of loopback, and stopped again.

Its programs are looked for where distributions put them and on the path; `GENBRIDGE_POSTGRES` names another folder.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Self
from uuid import uuid4

_PLACES = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/homebrew/opt/postgresql@*/bin", "/usr/local/opt/postgresql@*/bin")
_USER = "postgres"
_PASSWORD = "a-password-that-must-not-be-seen"
_STARTED = 60.0
"""Seconds that a server may take to answer."""
_SETTINGS = {"max_connections": "200", "shared_buffers": "64MB"}


def programs() -> Path | None:
    """Return the folder of PostgreSQL's programs; `None` where there are none."""
    if given := os.environ.get("GENBRIDGE_POSTGRES"):
        return Path(given)
    found = [path for place in _PLACES for path in sorted(Path("/").glob(place.lstrip("/")), reverse=True)]
    on_path = shutil.which("initdb")
    return next((path for path in (*found, *([Path(on_path).parent] if on_path else [])) if (path / "initdb").exists()), None)


class Server:
    """A server that is started, killed and brought back. Use it as `with Server() as server`."""

    def __init__(self, *, settings: dict[str, str] | None = None, host: str = "127.0.0.1") -> None:
        self.host = host
        self.password = _PASSWORD
        self.port = free_port()
        self._settings = {**_SETTINGS, **(settings or {})}
        self._folder = Path(tempfile.mkdtemp(prefix="genbridge-pg-"))
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self._make()
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def pid(self) -> int:
        """The number of the server's first process."""
        assert self._process is not None
        return self._process.pid

    def url(self, database: str = "postgres") -> str:
        """Return where a database is, with the password."""
        return f"postgresql://{_USER}:{self.password}@{self.host}:{self.port}/{database}"

    def make_database(self, template: str = "template1") -> str:
        """Make a database of a new name, as another is, and return where it is."""
        import psycopg

        name = f"test_{uuid4().hex[:12]}"
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(f"create database {name} template {template}")  # type: ignore[call-overload]
        return self.url(name)

    def start(self) -> None:
        """Start it, and wait until it answers."""
        command = [self._program("postgres"), "-D", str(self._folder / "data"), "-p", str(self.port), "-k", ""]
        for name, value in {"listen_addresses": self.host, **self._settings}.items():
            command += ["-c", f"{name}={value}"]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, **_as_other())
        deadline = time.monotonic() + _STARTED
        while not self._answers():
            assert self._process.poll() is None, (self._folder / "log").read_text(errors="replace")
            assert time.monotonic() < deadline, "PostgreSQL does not answer"
            time.sleep(0.05)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop it, by default at once and in order."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                self._process.send_signal(how)
            self._process.wait(_STARTED)
            self._process = None

    def kill(self) -> None:
        """Have all of its processes end at once, without a word, as in a crash."""
        self.stop(signal.SIGQUIT)

    def _make(self) -> None:
        self._folder.chmod(0o777)
        secret = self._folder / "password"
        secret.write_text(self.password)
        secret.chmod(0o644)
        command = [self._program("initdb"), "-D", str(self._folder / "data"), "-U", _USER, "-A", "scram-sha-256"]
        command += ["--pwfile", str(secret), "-E", "UTF8", "--locale", "C", "--no-sync"]
        subprocess.run(command, check=True, capture_output=True, **_as_other())
        # Whoever is on a network of this machine's, where it is not asked for on loopback alone.
        with (self._folder / "data" / "pg_hba.conf").open("a") as rules:
            rules.write("host all all samenet scram-sha-256\n")

    def _program(self, name: str) -> str:
        folder = programs()
        assert folder is not None, "PostgreSQL is not installed"
        return str(folder / name)

    def _answers(self) -> bool:
        import psycopg

        try:
            psycopg.connect(self.url(), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True


def _as_other() -> dict[str, object]:
    """Return how a program is started as somebody else, as PostgreSQL refuses to be run by root."""
    return {"user": _USER, "group": _USER, "extra_groups": []} if os.geteuid() == 0 else {}


def free_port() -> int:
    """Return the number of a port of loopback that nobody listens on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port
