"""Jobs on their way through processes, tickets and one lock, event by event."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from heapq import heappop, heappush
from itertools import count
from math import exp
from random import Random

import attrs
from costs import WRITES, Costs, Write

from genbridge.journal.postgres.store import DatabaseStore
from genbridge.journal.store import _BATCH, _CLOSELY, _MOMENT

POST = 0.5
"""Seconds until a service has answered a paid POST, in the median; half of them between 0.4 and 0.6."""
POST_SPREAD = 0.3
PLACES = 100
"""How many paid POSTs a worker has under way at once to a backend; here there is one."""
SWEEP = 5.0
"""Seconds between two sweeps of the workers, and two reports of each."""
ENDED = 5.0
"""Seconds after the last job came until all are accepted, where there is no queue."""
LEAST = 120.0
"""Seconds for which others come while something unusual happens."""
LONGEST = 3600.0
STEP = 0.1
BEHIND = 1.0
"""Seconds that half of the last jobs wait for genbridge where the queue grows and grows."""


@attrs.frozen(kw_only=True)
class Setup:
    """What is there: processes, seconds to the database and back beyond those of loopback, and of a commit if not as measured."""

    workers: int
    clients: int
    trip: float = 0.0
    commit: float | None = None
    loop: float = 0.0
    """Seconds for which a worker's one core is busy with a job before it is recorded; 0 where only the rest is looked at."""
    places: float = PLACES
    capped: bool = False
    """Whether there is a cap on how many jobs are under way, so that they are counted before each submit."""

    def lock(self, costs: Costs) -> float:
        """Return for how many seconds a transaction keeps the lock, beside its writes."""
        waited = self.commit or costs.commit_ms / 1000
        return self.write(costs.begin) - costs.commit_ms / 1000 + waited

    def write(self, write: Write) -> float:
        """Return for how many seconds one more write does."""
        return write.ms / 1000 + write.trips * self.trip


class Clock:
    """The simulated time, and what comes to happen in it."""

    def __init__(self) -> None:
        self.now = 0.0
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._next = count().__next__

    def after(self, seconds: float, then: Callable[[], None]) -> None:
        """Have something happen later."""
        heappush(self._due, (self.now + seconds, self._next(), then))

    def run(self, until: float) -> None:
        """Have happen what is due until then."""
        while self._due and self._due[0][0] <= until:
            self.now, _, then = heappop(self._due)
            then()
        self.now = until


class Lock:
    """What one process after another holds, in the order in which they asked."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._asked: deque[tuple[float, Callable[[], None]]] = deque()
        self._held = False
        self.busy = 0.0

    def hold(self, seconds: float, then: Callable[[], None]) -> None:
        """Hold it for so long as soon as it is free."""
        self._asked.append((seconds, then))
        if not self._held:
            self._give()

    def _give(self) -> None:
        self._held = True
        seconds, then = self._asked.popleft()
        self.busy += seconds
        self._clock.after(seconds, partial(self._free, then))

    def _free(self, then: Callable[[], None]) -> None:
        self._held = False
        if self._asked:
            self._give()
        then()


class Writer:
    """The one thread of a process that writes: what is asked while it is busy goes into its next transaction."""

    def __init__(self, clock: Clock, lock: Lock, costs: Costs, setup: Setup) -> None:
        self._clock = clock
        self._lock = lock
        self._begin_takes = setup.lock(costs)
        self._asked: deque[tuple[float, Callable[[], None]]] = deque()
        self._busy = False
        self._written = -1.0
        self._several = False
        self.transactions = 0
        self.writes = 0

    def ask(self, seconds: float, then: Callable[[], None]) -> None:
        """Have something written that takes so long, and go on when it is committed."""
        self._asked.append((seconds, then))
        if not self._busy:
            self._busy = True
            self._go_on()

    def _go_on(self) -> None:
        closely = self._clock.now - self._written < _CLOSELY
        gathered = DatabaseStore.longer if self._several else _MOMENT
        self._clock.after(gathered if closely else 0.0, self._begin)

    def _begin(self) -> None:
        batch = [self._asked.popleft() for _ in range(min(_BATCH, len(self._asked)))]
        self.transactions += 1
        self.writes += len(batch)
        self._lock.hold(self._begin_takes + sum(seconds for seconds, _ in batch), partial(self._committed, batch))

    def _committed(self, batch: Sequence[tuple[float, Callable[[], None]]]) -> None:
        self._written, self._several = self._clock.now, len(batch) > 1
        for _, then in batch:
            then()
        self._busy = bool(self._asked)
        if self._busy:
            self._go_on()


@attrs.define(eq=False)
class Worker:
    """A process that drives jobs: one claim at a time, so many POSTs at a time, and on one core."""

    writer: Writer
    core: Lock
    claiming: bool = False
    posts: int = 0
    waiting: deque[Callable[[], None]] = attrs.field(factory=deque)


@attrs.frozen(kw_only=True)
class Found:
    """What came of it. `waits` are the seconds that each job waited for genbridge until it was accepted, in order of arrival."""

    waits: Sequence[float]
    lost: int
    """Jobs that were not accepted in the time that was simulated."""
    busy: float
    """The share of the time for which the lock was held."""
    writes: float
    """In one transaction, in the mean."""

    def wait(self, share: float) -> float:
        """Return how long that share of the jobs waited at the most."""
        return sorted(self.waits)[min(len(self.waits) - 1, int(share * len(self.waits)))]

    @property
    def keeps_up(self) -> bool:
        """Whether the last jobs wait no longer than a moment."""
        last = sorted(self.waits[-len(self.waits) // 5 :])
        return not self.lost and last[len(last) // 2] < BEHIND


class Fleet:
    """Clients that hand jobs in, and workers that drive them, over one database."""

    def __init__(self, costs: Costs, setup: Setup, flight: float, seed: int = 1) -> None:
        self.clock = Clock()
        self.lock = Lock(self.clock)
        self._chance = Random(seed)
        self._takes = {name: setup.write(getattr(costs, name)) for name in WRITES}
        self._takes["intend"] += setup.capped * flight * costs.capped_job_ms / 1000
        self._loop = setup.loop
        self._places = setup.places
        self._claim = costs.claim_ms / 1000
        writer = partial(Writer, self.clock, self.lock, costs, setup)
        self.clients = [writer() for _ in range(setup.clients)]
        self.workers = [Worker(writer(), Lock(self.clock)) for _ in range(setup.workers)]
        self._tickets: deque[Callable[[Worker], None]] = deque()
        self.waits: dict[int, float] = {}
        self._sweep = (costs.sweep_ms + costs.sweep_job_ms * flight) / 1000
        self.clock.after(self._chance.random() * SWEEP, self._sweeps)

    def _sweeps(self) -> None:
        """Have one of the workers sweep, and all say how they are."""
        self.clock.after(SWEEP, self._sweeps)
        self._chance.choice(self.workers).writer.ask(self._sweep, _nothing)
        for worker in self.workers:
            worker.writer.ask(0.0, _nothing)

    def submit(self, number: int) -> None:
        """Have a job handed in, and remember how long it waited for everything but the service."""
        client, begun = self._chance.choice(self.clients), self.clock.now
        client.ask(self._takes["hand_in"], partial(self.ticket, partial(self._drive, number, begun)))

    def ticket(self, drive: Callable[[Worker], None]) -> None:
        """Have one of the workers claim a ticket and drive its job."""
        self._tickets.append(drive)
        idle = [worker for worker in self.workers if not worker.claiming]
        if idle:
            self._claims(self._chance.choice(idle))

    def _claims(self, worker: Worker) -> None:
        worker.claiming = bool(self._tickets)
        if worker.claiming:
            self.clock.after(self._claim, partial(self._claimed, worker, self._tickets.popleft()))

    def _claimed(self, worker: Worker, drive: Callable[[Worker], None]) -> None:
        worker.core.hold(self._loop, partial(drive, worker))
        self._claims(worker)

    def take(self, worker: Worker, then: Callable[[], None]) -> None:
        """Have a worker take the lease of a job."""
        worker.writer.ask(self._takes["take"], then)

    def _drive(self, number: int, begun: float, worker: Worker) -> None:
        intend = partial(worker.writer.ask, self._takes["intend"], partial(self._post, number, begun, worker))
        self.take(worker, partial(self._place, worker, intend))

    def _place(self, worker: Worker, then: Callable[[], None]) -> None:
        if worker.posts < self._places:
            worker.posts += 1
            then()
        else:
            worker.waiting.append(then)

    def _post(self, number: int, begun: float, worker: Worker) -> None:
        seconds = POST * exp(POST_SPREAD * self._chance.gauss())
        self.clock.after(seconds, partial(self._answered, number, begun + seconds, worker))

    def _answered(self, number: int, begun: float, worker: Worker) -> None:
        worker.posts -= 1
        worker.writer.ask(self._takes["accepted"], partial(self._accepted, number, begun))
        if worker.waiting:
            self._place(worker, worker.waiting.popleft())

    def _accepted(self, number: int, begun: float) -> None:
        self.waits[number] = self.clock.now - begun

    def later(self, what: str) -> None:
        """Have something recorded of a job that was handed in long ago."""
        self._chance.choice(self.workers).writer.ask(self._takes[what], _nothing)

    def steady(self, rate: float, seconds: float) -> Found:
        """Return what comes of so many jobs a second for a time."""
        jobs = self._load(rate, seconds)
        self.clock.run(seconds)
        busy = self.lock.busy / seconds
        # What is under way is waited for; what is not accepted then waits without end.
        self.clock.run(seconds + ENDED)
        return self._found(jobs, busy)

    def _load(self, rate: float, seconds: float) -> int:
        """Have jobs come, and as many end; return how many."""
        arrivals = list(self._times(rate, seconds))
        for number, time in enumerate(arrivals):
            self.clock.after(time, partial(self.submit, number))
        for what in ("seen", "end"):
            for time in self._times(rate, seconds):
                self.clock.after(time, partial(self.later, what))
        return len(arrivals)

    def taken(self, orphans: int, rate: float) -> float:
        """Return in how many seconds jobs that a worker left behind are driven again, while others come as always."""
        self._load(rate, LEAST)
        times: list[float] = []
        for _ in range(orphans):
            self.ticket(lambda worker: self.take(worker, lambda: times.append(self.clock.now)))
        return self._once(lambda: len(times) == orphans)

    def burst(self, jobs: int, rate: float) -> float:
        """Return in how many seconds jobs that come at once are accepted, while others come as always."""
        others = self._load(rate, LEAST)
        for number in range(others, others + jobs):
            self.submit(number)
        return self._once(lambda: sum(number >= others for number in self.waits) == jobs)

    def _once(self, done: Callable[[], bool]) -> float:
        """Return when something is so."""
        while not done() and self.clock.now < LONGEST:
            self.clock.run(self.clock.now + STEP)
        return self.clock.now

    def _times(self, rate: float, seconds: float) -> Iterator[float]:
        time = self._chance.expovariate(rate)
        while time < seconds:
            yield time
            time += self._chance.expovariate(rate)

    def _found(self, jobs: int, busy: float) -> Found:
        writers = [*self.clients, *(worker.writer for worker in self.workers)]
        writes = sum(writer.writes for writer in writers) / max(1, sum(writer.transactions for writer in writers))
        waits = [self.waits[number] for number in range(jobs) if number in self.waits]
        return Found(waits=waits, lost=jobs - len(waits), busy=min(1.0, busy), writes=writes)


def _nothing() -> None:
    """Go on with nothing."""
