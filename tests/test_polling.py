"""When to ask next."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genbridge.polling import PollPolicy
from genbridge.types import Media

SECONDS = st.floats(min_value=0, max_value=1e6)


def delay(
    policy: PollPolicy | None = None,
    *,
    elapsed: float = 0.0,
    expected: float | None = None,
    hint: float | None = None,
    misses: int = 0,
    chance: float = 0.0,
) -> float:
    """Return a delay, by the default policy unless there is one."""
    return (policy or PollPolicy()).delay(elapsed=elapsed, expected=expected, hint=hint, misses=misses, chance=chance)


@given(
    interval=st.floats(min_value=0.1, max_value=1e4),
    fixed=st.booleans(),
    jitter=st.floats(min_value=0, max_value=1),
    elapsed=SECONDS,
    expected=st.none() | SECONDS,
    hint=st.none() | SECONDS,
    misses=st.integers(min_value=0, max_value=10_000),
    chance=st.floats(min_value=0, max_value=1, exclude_max=True),
)
def test_a_delay_is_never_shorter_than_the_interval_nor_the_hint(
    interval: float,
    *,
    fixed: bool,
    jitter: float,
    elapsed: float,
    expected: float | None,
    hint: float | None,
    misses: int,
    chance: float,
) -> None:
    """Nor longer than the longest wait (or what is asked for), and its jitter."""
    policy = PollPolicy(interval=interval, fixed=fixed, jitter=jitter)
    wait = delay(policy, elapsed=elapsed, expected=expected, hint=hint, misses=misses, chance=chance)
    assert max(interval, hint or 0.0) <= wait <= max(interval, hint or 0.0, 60.0) * (1 + jitter)


@given(misses=st.integers(min_value=0, max_value=20), more=st.integers(min_value=0, max_value=20))
def test_more_misses_never_make_a_delay_shorter(misses: int, more: int) -> None:
    """A service in trouble is asked less."""
    assert delay(misses=misses) <= delay(misses=misses + more)


@pytest.mark.parametrize(("misses", "expected"), [(1, 6.0), (2, 12.0), (3, 24.0), (4, 48.0), (5, 60.0), (1000, 60.0)])
def test_each_miss_doubles_the_delay_up_to_a_minute(misses: int, expected: float) -> None:
    """From the interval on."""
    assert expected == delay(misses=misses)


@pytest.mark.parametrize(
    ("elapsed", "expected", "wait"),
    [
        (10.0, None, 3.0),
        (0.0, 100.0, 3.0),
        (3.0, 100.0, 12.0),
        (55.0, 100.0, 5.0),
        (59.0, 100.0, 3.0),
        (60.0, 100.0, 3.0),
        (150.0, 100.0, 3.0),
        (160.0, 100.0, 6.0),
        (1000.0, 100.0, 12.0),
    ],
)
def test_polls_are_thin_while_a_job_cannot_be_done_and_when_it_is_late(elapsed: float, expected: float | None, wait: float) -> None:
    """Soon after the submit and around the expected time, it is asked at the interval."""
    assert wait == delay(elapsed=elapsed, expected=expected)


def test_a_fixed_policy_asks_at_its_interval_throughout() -> None:
    """Unless polls fail."""
    policy = PollPolicy(fixed=True, interval=5.0)
    assert [5.0, 5.0, 10.0] == [delay(policy, elapsed=10, expected=100), delay(policy), delay(policy, misses=1)]


def test_jitter_only_ever_adds() -> None:
    """A tenth at most, by default."""
    assert [3.0, pytest.approx(3.15)] == [delay(chance=0.0), delay(chance=0.5)]


def test_an_interval_above_a_minute_is_kept() -> None:
    """The longest wait is no limit to what a service documents."""
    assert [90.0, 90.0] == [delay(PollPolicy(interval=90.0)), delay(PollPolicy(interval=90.0), misses=3)]


def test_a_deadline_is_that_of_the_medium_unless_one_is_set() -> None:
    """Half an hour where the medium has none of its own."""
    policy = PollPolicy(timeouts={Media.IMAGE: 300.0})
    assert [300.0, 1800.0] == [policy.deadline(Media.IMAGE), policy.deadline(Media.VIDEO)]
    assert 7.0 == PollPolicy(timeout=7.0).deadline(Media.IMAGE)
    assert [600.0, 1800.0] == [PollPolicy().deadline(media) for media in (Media.IMAGE, Media.VIDEO)]
