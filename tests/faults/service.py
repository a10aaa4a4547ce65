"""A service in a process of its own, which does what a script says and forgets nothing when its client is killed.

    with Service() as service:
        stand = service.stand("imini", script=[Fault(step=Step.SUBMIT, how=How.DROP, accepted=True)], pace=1000)
        config = BackendConfig(name="imini", provider="imini", api_key=Secret(stand.key), base_url=stand.base_url)
        ...
        assert {"17": 1} == stand.report().posts

A `Stand` is one account at one provider (`meigen`, `imini`, `sseedance`, the tests' `acme`, or any that is installed and has an
emulator) on a port of its own; a service has as many as are asked for. It speaks through the provider's emulator, over raw
sockets, so that it can drop, drip and cut at any byte. `pace` is how many of the emulator's seconds pass in one of ours: 1000
makes a job end at its first poll, 1 lets it take as long as the service says. `delays` are seconds before each answer, by step: a
number, or the least and the most.
`settings` are set on the emulator, such as `{"per_minute": 10**9}` for no limit and `{"purchased": 10**9}` for no end of credits.

A prompt names its logical job in brackets, `[job 17]`; requests without one count as job `""`. `Report.posts` are the paid POSTs
that reached the service, by logical job, whether it took them or not; `Report.accepted` are the jobs it made, in order, with the
logical job, the service's own id, the caller's key where there was one, and when; `Report.arrivals` are all requests. Times are
seconds since the epoch. `Stand.play` sets another script. The process ends with the `with` block, and when its parent dies.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import attrs
from script import Door, Fault, Step

_SERVER = Path(__file__).with_name("server.py")
_PATIENCE = 10.0


@attrs.frozen(kw_only=True)
class Accepted:
    """One job that the service made: `job` is the logical one, `id` the service's, `key` the caller's, `at` the time."""

    job: str
    id: str
    key: str | None
    at: float


@attrs.frozen(kw_only=True)
class Arrival:
    """One request: `step` is empty for what has no name; `keyed` says whether the account's key came with it.

    `by` is who sent it, where that has a base URL of its own (`Stand.base_url_of`), and `answered` when it was answered properly.
    """

    step: str
    method: str
    path: str
    job: str
    at: float
    keyed: bool
    by: str = ""
    answered: float | None = None


@attrs.frozen(kw_only=True)
class Report:
    """What a stand has seen. `files` are the SHA-256 of every version of a file, by path."""

    accepted: tuple[Accepted, ...]
    arrivals: tuple[Arrival, ...]
    files: Mapping[str, tuple[str, ...]]

    @property
    def posts(self) -> Counter[str]:
        """The paid POSTs of each logical job."""
        return Counter(arrival.job for arrival in self.arrivals if arrival.step == Step.SUBMIT)

    @property
    def twice(self) -> dict[str, list[str]]:
        """The service's ids of each logical job that it made more than once."""
        ids: dict[str, list[str]] = {}
        for made in self.accepted:
            ids.setdefault(made.job, []).append(made.id)
        return {job: made for job, made in ids.items() if len(made) > 1}

    def at(self, step: Step) -> tuple[Arrival, ...]:
        """Return the requests of one step."""
        return tuple(arrival for arrival in self.arrivals if arrival.step == step)


@attrs.frozen(kw_only=True)
class Stand:
    """One account at one provider."""

    service: Service = attrs.field(repr=False)
    number: int
    provider: str
    key: str = attrs.field(repr=False)
    base_url: str

    def base_url_of(self, sender: str) -> str:
        """Return the base URL at which the requests of somebody are told from others'."""
        parts = urlsplit(self.base_url)
        return parts._replace(path=f"/by/{sender}{parts.path}").geturl()

    def play(self, script: Iterable[Fault]) -> None:
        """Set another script; what was counted stays."""
        self.service.ask("play", number=self.number, script=[fault.document() for fault in script])

    def tally(self) -> Counter[str]:
        """Return how many requests of each step there were so far, which is less to tell than a report."""
        return Counter(self.service.ask("tally", number=self.number))

    def report(self) -> Report:
        """Return what it has seen so far."""
        said = self.service.ask("report", number=self.number)
        return Report(
            accepted=tuple(Accepted(**made) for made in said["accepted"]),
            arrivals=tuple(Arrival(**arrival) for arrival in said["arrivals"]),
            files={path: tuple(digests) for path, digests in said["files"].items()},
        )


class Service:
    """The process; use it as `with Service() as service`.

    Its methods block for about a millisecond, and any thread may call them.
    """

    def __init__(self, host: str = "127.0.0.1") -> None:
        self._host = host
        self._turn = threading.Lock()
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def start(self) -> None:
        """Start the process."""
        # Its own directory is on its path, which is where its modules are; the sources of genbridge are not.
        env = {name: value for name, value in os.environ.items() if name != "PYTHONSAFEPATH"}
        env["GENBRIDGE_SERVICE_HOST"] = self._host
        command = [sys.executable, str(_SERVER), str(os.getpid())]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env)

    def stop(self) -> None:
        """End the process."""
        process, self._process = self._process, None
        if process is None:
            return
        process.stdin.close()  # type: ignore[union-attr]  # it was made with pipes
        try:
            process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()  # type: ignore[union-attr]

    def stand(
        self,
        provider: str,
        *,
        script: Iterable[Fault] = (),
        pace: float = 1000.0,
        delays: Mapping[Step, float | tuple[float, float]] | None = None,
        settings: Mapping[str, Any] | None = None,
        door: Door = Door.OPEN,
    ) -> Stand:
        """Open an account at a provider."""
        said = self.ask(
            "stand",
            provider=provider,
            script=[fault.document() for fault in script],
            pace=pace,
            delays={step: delay if isinstance(delay, tuple) else (delay, delay) for step, delay in (delays or {}).items()},
            settings=dict(settings or {}),
            door=door,
        )
        return Stand(service=self, provider=provider, **said)

    def canary(self) -> tuple[Arrival, ...]:
        """Return the requests that reached the origin to which redirects lead; its paths begin with the number of their stand."""
        return tuple(Arrival(**arrival) for arrival in self.ask("canary"))

    def ask(self, what: str, **values: Any) -> Any:
        """Have the process do something; raises `RuntimeError` with its reason when it cannot."""
        with self._turn:
            if self._process is None or self._process.stdin is None or self._process.stdout is None:
                raise RuntimeError("the service is not running; use `with Service() as service`")
            self._process.stdin.write(json.dumps({"do": what, **values}) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the service has ended, with exit code {self._process.poll()}; see what it printed")
        said = json.loads(line)
        if "error" in said:
            raise RuntimeError(f"the service cannot {what}: {said['error']}")
        return said["said"]
