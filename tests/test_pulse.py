"""A process knows by itself how its signs of life look to others."""

from __future__ import annotations

import pytest

from genbridge.journal import DEAD_AFTER
from genbridge.pulse import LATE, Pulse


class Machine:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def machine() -> Machine:
    """Return the machine's clock."""
    return Machine()


@pytest.fixture
def pulse(machine: Machine) -> Pulse:
    """Return the signs of life of a process that was just started."""
    return Pulse(machine)


def beat(pulse: Pulse, machine: Machine, *, takes: float = 0.0) -> None:
    """Give a sign of life, which may take a while to reach the journal."""
    began = pulse.begin()
    machine.now += takes
    pulse.note(began)


def test_a_process_is_late_before_others_think_that_it_is_dead() -> None:
    """There is time enough for what it has begun."""
    assert 0.6 * DEAD_AFTER == LATE


def test_silence_is_counted_from_when_a_sign_was_begun(pulse: Pulse, machine: Machine) -> None:
    """Nobody knows when on its way it reached the journal."""
    beat(pulse, machine, takes=4.0)
    machine.now += 14.0
    assert (18.0, False) == (pulse.silence, pulse.is_late)
    machine.now += 0.1
    assert pulse.is_late


def test_a_process_that_was_just_started_is_steady(pulse: Pulse, machine: Machine) -> None:
    """It has missed nothing."""
    machine.now += 5.0
    assert pulse.is_steady


def test_a_process_that_is_silent_now_is_not_steady(pulse: Pulse, machine: Machine) -> None:
    """It cannot know yet how long its gap will be."""
    machine.now += 15.1
    assert not pulse.is_steady


@pytest.mark.parametrize(("takes", "beats"), [(0.0, 6), (20.0, 7)])
def test_a_process_is_steady_again_half_a_minute_after_a_gap(pulse: Pulse, machine: Machine, takes: float, beats: int) -> None:
    """Whether it was stopped, or its sign of life was held up: then it counts from the next."""
    machine.now += 20.0 - takes
    beat(pulse, machine, takes=takes)
    for _ in range(beats):
        machine.now += 5.0
        beat(pulse, machine)
        assert not pulse.is_steady
    machine.now += 0.1
    assert pulse.is_steady
