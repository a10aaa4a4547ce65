"""How soon a submit may start."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genbridge import Limits
from genbridge.limits import Rule, Wait, next_start


@pytest.mark.parametrize("recent", [[], [1.0], [float(second) for second in range(60)]])
def test_without_limits_everything_starts_at_once(recent: list[float]) -> None:
    """However much has been submitted, and is running."""
    assert next_start(recent, 1000, Rule(limits=Limits()), now=60.0) is None


def test_the_last_submit_that_is_allowed_starts_at_once() -> None:
    """Eleven of twelve."""
    assert next_start([float(second) for second in range(11)], 0, Rule(limits=Limits(submits=12)), now=11.0) is None


def test_one_submit_more_waits_until_the_oldest_is_a_window_old() -> None:
    """And says why."""
    recent = [10.0, 20.0, 30.0]
    assert Wait(40.0, "at most 3 submits in 60 s") == next_start(recent, 0, Rule(limits=Limits(submits=3)), now=30.0)


def test_only_the_submits_that_count_are_waited_for() -> None:
    """Where more were made than are allowed now, as under a limit that was lowered."""
    assert Wait(59.0, "at most 1 submits in 60 s") == next_start([10.0, 20.0, 30.0], 0, Rule(limits=Limits(submits=1)), now=31.0)


def test_a_clock_that_was_set_back_waits_no_longer_than_a_window() -> None:
    """The record says that a submit was made in the future."""
    assert Wait(60.0, "at most 1 submits in 60 s") == next_start([5000.0], 0, Rule(limits=Limits(submits=1)), now=31.0)


def test_a_submit_that_is_just_old_enough_is_not_waited_for() -> None:
    """No negative wait, whoever kept the list."""
    assert Wait(0.0, "at most 1 submits in 60 s") == next_start([10.0], 0, Rule(limits=Limits(submits=1)), now=80.0)


@pytest.mark.parametrize(("running", "waits"), [(0, False), (1, False), (2, True), (3, True)])
def test_no_more_jobs_run_at_once_than_are_allowed(running: int, waits: bool) -> None:
    """A job that ends is noticed within a second."""
    expected = Wait(1.0, f"{running} jobs are running, the most at once is 2") if waits else None
    assert expected == next_start([], running, Rule(limits=Limits(concurrent=2)), now=0.0)


def test_the_jobs_that_run_come_before_the_rate() -> None:
    """There is one reason at a time."""
    assert Wait(1.0, "2 jobs are running, the most at once is 2") == next_start(
        [0.0], 2, Rule(limits=Limits(submits=1, concurrent=2)), now=1.0
    )


def run(arrivals: list[float], limits: Limits) -> list[float]:
    """Submit whatever arrives as soon as the limits let it, and return the times."""
    now, done = 0.0, list[float]()
    for arrival in arrivals:
        now = max(now, arrival)
        while wait := next_start([at for at in done if at > now - limits.per], 0, Rule(limits=limits), now):
            now += max(wait.seconds, 1e-6)
        done.append(now)
    return done


@given(
    st.lists(st.floats(0, 500), max_size=40).map(sorted),
    st.integers(1, 5),
    st.floats(1, 120),
)
def test_no_window_has_more_submits_than_are_allowed(arrivals: list[float], most: int, per: float) -> None:
    """Wherever it begins; and nothing waits longer than it has to."""
    times = run(arrivals, Limits(submits=most, per=per))
    gaps = [late - early for early, late in zip(times, times[most:], strict=False)]
    assert all(gap > per - 1e-3 for gap in gaps)
    assert all(
        late - max(arrival, early + per, before) < 1e-3
        for arrival, early, before, late in zip(arrivals[most:], times, times[most - 1 :], times[most:], strict=False)
    )
    assert sorted(times) == times
