"""The workers of a fleet, what is done to them, and who starts those again that were killed."""

from __future__ import annotations

import math
import os
import random
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Self

import attrs
from fleet_counts import Outage, Silence
from fleet_stage import Stage, until
from fleet_wires import apart, last_child

_READY = 3.0
"""Seconds after which a worker that was started is taken to be at work."""
_RESTART = 1.0
"""Seconds after which one that was killed is started again."""
_DRAINED = 60.0


@attrs.define(eq=False)
class Worker:
    """One process; its `name` is that of its place and a number, new with each start."""

    place: str
    name: str
    process: subprocess.Popen[bytes]
    log: Path
    began: float = attrs.field(factory=time.time)
    stopped: float | None = None
    """Since when it is stopped."""
    due: float = 0.0
    """When it is to go on."""

    @property
    def at_work(self) -> bool:
        """Whether it does what it is for."""
        return self.stopped is None and time.time() - self.began > _READY

    @property
    def pid(self) -> int:
        """The process that does the work, which whatever its command begins with may have started."""
        return last_child(self.process.pid)

    def send(self, what: signal.Signals) -> None:
        """Send it a signal."""
        os.kill(self.pid, what)

    def tail(self) -> str:
        """Return the end of what it printed."""
        return " / ".join(self.log.read_text(errors="replace").splitlines()[-3:])


class Fleet:
    """Workers in their places; use it as `with Fleet(stage, "abc") as fleet`. `prefixes` are what their commands begin with.

    Each is on a machine of its own as far as it can tell, where that is possible here.
    """

    def __init__(self, stage: Stage, places: Sequence[str], *, prefixes: Mapping[str, Sequence[str]] | None = None) -> None:
        self.stage = stage
        self.workers: dict[str, Worker] = {}
        self.silences: list[Silence] = []
        self.findings: list[str] = []
        self.starts = self.futile = 0
        self.outage: Outage | None = None
        """The last one of the database; it ends in the future while it lasts."""
        self._places = places
        self._prefixes = prefixes or {}
        self._apart = apart()
        self._numbers = count(1)
        self._gone: dict[str, float] = {}

    @property
    def apart(self) -> bool:
        """Whether nobody can tell by a process id that a worker has gone."""
        return bool(self._apart)

    def __enter__(self) -> Self:
        for place in self._places:
            self.start(place)
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self.workers.values():
            if worker.process.poll() is None:
                worker.send(signal.SIGKILL)
                worker.process.wait()

    def start(self, place: str) -> Worker:
        """Start a worker in a place."""
        name = f"{place}.{next(self._numbers)}"
        log = self.stage.folder / f"{name}.txt"
        words = ["worker", "--db", self.stage.url, "--config", str(self.stage.config(name)), *["-vv"] * self.stage.verbose]
        process = self.stage.begin(*words, log=log, prefix=[*self._prefixes.get(place, ()), *self._apart])
        self.workers[place] = Worker(place=place, name=name, process=process, log=log)
        self.starts += 1
        return self.workers[place]

    def kill(self, worker: Worker) -> None:
        """Kill a worker, which may be stopped."""
        now = time.time()
        worker.send(signal.SIGKILL)
        worker.process.wait()
        self.silences.append(Silence(worker=worker.name, since=worker.stopped or now, until=now, killed=True))
        self._leave(worker)

    def stop(self, worker: Worker, seconds: float) -> None:
        """Stop a worker for a while."""
        worker.send(signal.SIGSTOP)
        worker.stopped = time.time()
        worker.due = worker.stopped + seconds

    def go_on(self, worker: Worker) -> None:
        """Let a stopped worker go on."""
        now = time.time()
        worker.send(signal.SIGCONT)
        self.silences.append(Silence(worker=worker.name, since=worker.stopped or now, until=now))
        worker.stopped = None

    def tend(self) -> None:
        """Start those again that were killed, let those go on whose time it is, and note who ended by itself."""
        now = time.time()
        for worker in list(self.workers.values()):
            if worker.process.poll() is not None and self._was_futile(worker):
                self.futile += 1
                self._leave(worker)
            elif worker.process.poll() is not None:
                self.findings.append(f"{worker.name} ended by itself with {worker.process.returncode}: {worker.tail()}")
                self._leave(worker)
            elif worker.stopped is not None and now >= worker.due:
                self.go_on(worker)
        for place in [place for place, at in self._gone.items() if now - at > _RESTART]:
            del self._gone[place]
            self.start(place)

    def _was_futile(self, worker: Worker) -> bool:
        """Whether a worker was started while there was no database, which it may say and end."""
        return self.outage is not None and self.outage.since - 2 * _READY < worker.began < self.outage.until + _READY

    def calm(self) -> None:
        """Let all go on that are stopped."""
        for worker in self.workers.values():
            if worker.stopped is not None:
                self.go_on(worker)

    def drain(self, worker: Worker) -> float:
        """Ask a worker to end, and return after how many seconds it has."""
        began = time.monotonic()
        worker.send(signal.SIGTERM)
        if not until(lambda: worker.process.poll() is not None, _DRAINED):
            self.findings.append(f"{worker.name} was still there {_DRAINED:g} s after SIGTERM: {worker.tail()}")
            worker.send(signal.SIGKILL)
        if code := worker.process.wait():
            self.findings.append(f"{worker.name} ended with {code} when it was asked to: {worker.tail()}")
        del self.workers[worker.place]
        return time.monotonic() - began

    def drain_all(self) -> list[float]:
        """Ask all to end, one after the other, and return how long each took."""
        return [self.drain(worker) for worker in list(self.workers.values())]

    def _leave(self, worker: Worker) -> None:
        del self.workers[worker.place]
        self._gone[worker.place] = time.time()


class Havoc:
    """Once a second, kills or stops a worker, or leaves it at that where no other would be at work."""

    def __init__(self, fleet: Fleet, chance: random.Random) -> None:
        self.kills = self.stops = self.spared = 0
        self._fleet = fleet
        self._chance = chance
        self._next = time.time() + _READY

    def strike(self) -> None:
        """Do what is due."""
        if time.time() < self._next:
            return
        self._next += 1.0
        workers = list(self._fleet.workers.values())
        worker = self._chance.choice(workers) if workers else None
        if worker is None or not any(other.at_work for other in workers if other is not worker):
            self.spared += 1
        elif self._chance.random() < 0.4:
            self.kills += 1
            self._fleet.kill(worker)
        elif worker.stopped is None:
            self.stops += 1
            self._fleet.stop(worker, self._seconds())

    def _seconds(self) -> float:
        """Return for how long to stop a worker: mostly for less than its lease, at times for more."""
        low, high = self._chance.choices([(0.5, 3.0), (3.0, 20.0), (20.0, 45.0)], weights=[6, 2, 2])[0]
        return self._chance.uniform(low, high)


class Outages:
    """Kills the database at some moments and brings it back after some seconds."""

    def __init__(self, fleet: Fleet, moments: Sequence[float], chance: random.Random, *, lasting: tuple[float, float]) -> None:
        began = time.time()
        self.past: list[Outage] = []
        self._fleet = fleet
        self._plan = [(began + moment, chance.uniform(*lasting)) for moment in moments]

    @property
    def over(self) -> bool:
        """Whether all are."""
        return not self._plan

    def tend(self) -> None:
        """Do what is due."""
        if not self._plan:
            return
        at, seconds = self._plan[0]
        now, under_way = time.time(), self._under_way
        if under_way is None and now >= at:
            self._fleet.outage = Outage(now, math.inf)
            self._fleet.stage.server.kill()
        elif under_way is not None and now >= under_way.since + seconds:
            self._bring_back(under_way)
            del self._plan[0]

    def end(self) -> None:
        """Bring the database back where it is away, and leave it alone."""
        if self._under_way is not None:
            self._bring_back(self._under_way)
        self._plan = []

    @property
    def _under_way(self) -> Outage | None:
        outage = self._fleet.outage
        return outage if outage is not None and outage.until == math.inf else None

    def _bring_back(self, outage: Outage) -> None:
        self._fleet.stage.server.start()
        self._fleet.outage = Outage(outage.since, time.time())
        self.past.append(self._fleet.outage)
