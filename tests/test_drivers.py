"""Who drives jobs, and whether it still lives."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator

import attrs
import pytest

from genbridge.journal.drivers import FileDrivers, Owner
from genbridge.journal.postgres.drivers import SharedDrivers
from genbridge.journal.schema import bring_up_to_date

MACHINE = Owner.me()


@attrs.define
class Times:
    """A wall clock and one that cannot jump."""

    wall: float = 1_000_000.0
    tick: float = 500.0

    def drivers(self) -> FileDrivers:
        """Return a driver that goes by them."""
        return FileDrivers(lambda: self.wall, lambda: self.tick)


@pytest.fixture
def db() -> Iterator[sqlite3.Connection]:
    """Return the tables of an empty journal."""
    db = sqlite3.connect(":memory:", isolation_level=None)
    db.row_factory = sqlite3.Row
    bring_up_to_date(db)
    yield db
    db.close()


def named(**changes: object) -> str:
    """Return the name of a driver like this process's."""
    return str(attrs.evolve(MACHINE, token="other", **changes))


def beaten(db: sqlite3.Connection, name: str, times: Times) -> None:
    """Record a sign of life of a driver."""
    db.execute("insert into drivers (owner, beat, tick) values (?, ?, ?)", (name, times.wall, times.tick))


def test_a_job_that_nobody_drives_is_free(db: sqlite3.Connection) -> None:
    """And so is one's own, and that of a driver that has left."""
    me = Times().drivers()
    assert [True, True, True] == [me.free(db, None), me.free(db, me.name), me.free(db, named())]


def test_a_job_of_a_living_process_is_not_free(db: sqlite3.Connection) -> None:
    """Until it has said for half a minute that it is not there any more, by the clock that cannot jump."""
    times = Times()
    me = times.drivers()
    beaten(db, named(), times)
    free = []
    for tick, wall in ((0.0, 0.0), (29.0, 29.0), (29.0, 86400.0), (29.0, -86400.0), (31.0, 31.0), (31.0, -3600.0)):
        later = attrs.evolve(times, tick=times.tick + tick, wall=times.wall + wall)
        free.append(FileDrivers(lambda later=later: later.wall, lambda later=later: later.tick).free(db, named()))
    assert [False, False, False, False, True, True] == free
    assert not me.free(db, named())


def test_a_driver_that_has_left_holds_nothing(db: sqlite3.Connection) -> None:
    """It says so when it is closed."""
    first, second = Times().drivers(), Times().drivers()
    first.beat(db)
    assert not second.free(db, first.name)
    first.leave(db)
    assert second.free(db, first.name)


def test_a_process_that_has_ended_holds_nothing_at_once(db: sqlite3.Connection) -> None:
    """Nobody waits half a minute for it."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    name = named(pid=ended.pid, start="")
    beaten(db, name, Times())
    assert Times().drivers().free(db, name)


@pytest.mark.skipif(not MACHINE.start, reason="when a process was started can be told on Linux only")
def test_a_later_process_of_the_same_number_is_another(db: sqlite3.Connection) -> None:
    """Numbers are used again."""
    name = named(start="1")
    beaten(db, name, Times())
    assert Times().drivers().free(db, name)


def test_a_process_of_another_container_is_not_looked_for_here(db: sqlite3.Connection) -> None:
    """Its number means nothing here; the clock is the same."""
    times = Times()
    name = named(scope="elsewhere", pid=999_999_999)
    beaten(db, name, times)
    assert not times.drivers().free(db, name)
    times.tick += 31
    assert times.drivers().free(db, name)


def test_another_machines_signs_of_life_are_compared_by_the_wall_clock(db: sqlite3.Connection) -> None:
    """Its other clock began at another time."""
    times = Times()
    name = named(machine="elsewhere", pid=999_999_999)
    beaten(db, name, times)
    assert not attrs.evolve(times, tick=0.0, wall=times.wall + 29).drivers().free(db, name)
    assert attrs.evolve(times, tick=0.0, wall=times.wall + 31).drivers().free(db, name)


def test_signs_of_life_from_before_the_machine_was_started_again_are_none(db: sqlite3.Connection) -> None:
    """Where nothing else tells one start from the next."""
    times = Times()
    beaten(db, named(), times)
    assert attrs.evolve(times, tick=3.0).drivers().free(db, named())


def test_a_driver_of_the_first_release_is_known_by_its_own_rules(db: sqlite3.Connection) -> None:
    """`host:pid:token`, and the wall clock."""
    import socket

    times = Times()
    living = f"{socket.gethostname()}:{os.getpid()}:0123456789ab"
    gone = f"{socket.gethostname()}:999999999:0123456789ab"
    foreign = "elsewhere:1:0123456789ab"
    for name in (living, gone, foreign):
        beaten(db, name, times)
    assert [False, True, False] == [times.drivers().free(db, name) for name in (living, gone, foreign)]
    times.wall += 31
    assert [True, True, True] == [times.drivers().free(db, name) for name in (living, gone, foreign)]


def test_old_signs_of_life_are_forgotten(db: sqlite3.Connection) -> None:
    """The table stays small."""
    times = Times()
    beaten(db, named(), times)
    times.wall += 86401
    times.tick += 86401
    me = times.drivers()
    me.beat(db)
    assert [me.name] == [name for (name,) in db.execute("select owner from drivers")]


@pytest.mark.parametrize("start", ["", MACHINE.start], ids=["without", "with"])
def test_only_a_machine_that_is_surely_this_one_is_asked_for_a_process(start: str) -> None:
    """Of one that is named by its host alone there may be two on one database, each with processes of its own."""
    drivers = SharedDrivers()
    drivers._me = attrs.evolve(MACHINE, start=start)
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    assert bool(start) is drivers.gone(str(attrs.evolve(drivers._me, pid=ended.pid)))


def test_a_name_reads_back() -> None:
    """Whatever is in it."""
    assert Owner.read(str(MACHINE)) == MACHINE
    assert Owner.read("host:1:token") is None
    assert Owner.read("a:b:c:d:e") is None
