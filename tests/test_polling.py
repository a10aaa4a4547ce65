"""When to ask next."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genbridge.durations import Learned
from genbridge.polling import PollPolicy, Seen, outlook
from genbridge.types import Media

SECONDS = st.floats(min_value=0, max_value=1e6)
CHANCE = st.floats(min_value=0, max_value=1, exclude_max=True)
LEARNED = st.builds(
    Learned,
    count=st.floats(min_value=0.5, max_value=40),
    mean=st.floats(min_value=-5, max_value=10),
    squares=st.floats(min_value=0, max_value=100),
    odd=st.floats(min_value=-20, max_value=20),
)
SEEN = st.builds(Seen, polls=st.integers(min_value=0, max_value=1000), at=SECONDS, end=st.none() | SECONDS)
NINETY = Learned(40.0, math.log(90.0), 40 * 0.1**2)
"""Forty jobs that took 90 s, with a spread of a tenth."""


def delay(
    policy: PollPolicy | None = None,
    *,
    elapsed: float = 0.0,
    seen: Seen | None = None,
    learned: Learned | None = None,
    hint: float | None = None,
    misses: int = 0,
    left: float = math.inf,
    chance: float = 0.0,
) -> float:
    """Return a delay, by the default policy unless there is one."""
    return (policy or PollPolicy()).delay(
        elapsed=elapsed, seen=seen or Seen(), learned=learned, hint=hint, misses=misses, left=left, chance=chance
    )


@given(
    interval=st.floats(min_value=0.1, max_value=1e4),
    fixed=st.booleans(),
    jitter=st.floats(min_value=0, max_value=1),
    elapsed=SECONDS,
    seen=SEEN,
    learned=st.none() | LEARNED,
    hint=st.none() | SECONDS,
    misses=st.integers(min_value=0, max_value=10_000),
    left=st.floats(min_value=-10, max_value=1e4) | st.just(math.inf),
    chance=CHANCE,
)
def test_a_delay_is_never_shorter_than_the_interval_nor_the_hint(
    interval: float,
    *,
    fixed: bool,
    jitter: float,
    elapsed: float,
    seen: Seen,
    learned: Learned | None,
    hint: float | None,
    misses: int,
    left: float,
    chance: float,
) -> None:
    """Nor longer than the longest wait (or what is asked for), and its jitter."""
    policy = PollPolicy(interval=interval, fixed=fixed, jitter=jitter)
    wait = delay(policy, elapsed=elapsed, seen=seen, learned=learned, hint=hint, misses=misses, left=left, chance=chance)
    assert max(interval, hint or 0.0) <= wait <= max(interval, hint or 0.0, 90.0) * (1 + jitter) * (1 + 1e-9)


@given(misses=st.integers(min_value=0, max_value=20), more=st.integers(min_value=1, max_value=20))
def test_more_misses_never_make_a_delay_shorter(misses: int, more: int) -> None:
    """A service in trouble is asked less."""
    assert delay(misses=misses) <= delay(misses=misses + more)


@pytest.mark.parametrize(("misses", "expected"), [(1, 6.0), (2, 12.0), (3, 24.0), (4, 48.0), (5, 60.0), (1000, 60.0)])
def test_each_miss_doubles_the_delay_up_to_a_minute(misses: int, expected: float) -> None:
    """From the interval on."""
    assert expected == delay(misses=misses)


# By what was learned.


def times(policy: PollPolicy, learned: Learned | None, until: float, chance: float = 0.9) -> list[float]:
    """Return when a job is polled that is not done until then."""
    seen, at = Seen(), 0.0
    polled = []
    while at < until:
        at += delay(policy, elapsed=at, seen=seen, learned=learned, chance=chance)
        seen.note(at, None)
        polled.append(at)
    return polled


def test_nothing_learned_is_the_interval() -> None:
    """Until a job takes so long that its polls may be rarer: no wait is much longer than the mean of those before it."""
    polled = times(PollPolicy(jitter=0.0), None, 900.0)
    assert [3.0 * number for number in range(1, 21)] == polled[:20]
    assert 3.0 < polled[-1] - polled[-2] < 5.0


def test_a_job_is_looked_at_when_it_is_about_to_be_done() -> None:
    """Most jobs not before, then close together, and less when it is late."""
    polled = times(PollPolicy(jitter=0.0), NINETY, 300.0)
    waits = [after - before for before, after in pairwise(polled)]
    assert 75.0 < polled[0] < 90.0
    assert 3.0 == min(waits)
    assert 3.0 < waits[-1] < 10.0


def test_some_jobs_are_looked_at_early() -> None:
    """So that it is noticed when they take half as long now; and every job is, once some have come early."""
    early = NINETY.mean - 0.7
    assert [pytest.approx(0.6 * 90, rel=0.01), pytest.approx(0.65 * 90)] == [
        times(PollPolicy(jitter=0.0), NINETY, 1.0, chance=0.0)[0],
        times(PollPolicy(jitter=0.0), Learned(40.0, NINETY.mean, NINETY.squares, -3.0, early), 1.0)[0],
    ]


def test_an_early_look_is_the_later_the_wider_durations_are_spread() -> None:
    """As all but few of those that take half as long now are to be done by then."""
    wide = Learned(40.0, NINETY.mean, 40 * 0.18**2)
    assert 54.1 < outlook(wide, 10.0).first(0.0) < 0.75 * 90


def test_the_first_look_is_later_the_more_jobs_are_known() -> None:
    """After one job it is well before the time that it took, however alike others may be; never after the median."""
    first = [outlook(Learned(count, NINETY.mean, count * 0.01), 3.0).first(0.99) for count in (1.0, 3.0, 10.0, 40.0)]
    assert sorted(first) == first
    assert first[0] < 0.61 * 90
    assert first[-1] < 90


def test_short_jobs_are_asked_for_after_one_interval() -> None:
    """When half the usual time is within it: more could be lost than won."""
    assert [3.0, 3.0] == [outlook(Learned(40.0, math.log(5.0), 0.4), 3.0).first(chance) for chance in (0.0, 0.99)]


@given(learned=LEARNED, elapsed=st.floats(min_value=3, max_value=1e5), polls=st.integers(min_value=1, max_value=1000))
def test_no_wait_is_much_longer_than_the_mean_one_so_far(learned: Learned, elapsed: float, polls: int) -> None:
    """Whatever was learned: so a job that takes any time at all costs hardly more than at a fixed interval."""
    wait = delay(PollPolicy(jitter=0.0), elapsed=elapsed, seen=Seen(polls, elapsed), learned=learned)
    assert wait <= max(3.0, 1.05 * elapsed / (polls + 1))


@given(learned=LEARNED, early=st.floats(min_value=0, max_value=1e5), later=st.floats(min_value=0, max_value=1e4))
def test_a_later_poll_is_followed_by_a_later_poll(learned: Learned, early: float, later: float) -> None:
    """The curve that the polls are on only rises."""
    ahead = outlook(learned, 3.0)
    first, second = early + ahead.after(early), early + later + ahead.after(early + later)
    assert first <= second * (1 + 1e-9)


@given(learned=LEARNED, chance=CHANCE)
def test_the_first_look_has_a_time_whatever_was_learned(learned: Learned, chance: float) -> None:
    """Never infinity, nor a time before the submit."""
    assert 0 < outlook(learned, 3.0).first(chance) < math.inf


def test_a_fixed_policy_asks_at_its_interval_throughout() -> None:
    """Unless polls fail."""
    policy = PollPolicy(fixed=True, interval=5.0)
    waits = [delay(policy, elapsed=10, learned=NINETY), delay(policy, learned=NINETY), delay(policy, misses=1)]
    assert [5.0, 5.0, 10.0] == waits


# By what a job itself shows.


def seen_at(*answers: tuple[float, float | None] | tuple[float, float | None, bool]) -> Seen:
    """Return what was seen by answers at such times, each with a percentage and whether the job was queued."""
    seen = Seen()
    for elapsed, progress, *queued in answers:
        seen.note(elapsed, progress, queued=any(queued))
    return seen


def test_a_percentage_leads_to_the_end_of_a_job() -> None:
    """The rest is foretold by how fast it has come lately; then the poll is aimed just past the end."""
    seen = seen_at((30.0, 0.25), (60.0, 0.5))
    assert 120.0 == seen.end
    assert [pytest.approx(48.0), pytest.approx(6.3)] == [
        delay(PollPolicy(jitter=0.0), elapsed=60.0, seen=seen),
        delay(PollPolicy(jitter=0.0), elapsed=114.0, seen=seen),
    ]


def test_a_percentage_after_a_queue_is_taken_from_when_it_began_to_rise() -> None:
    """A job that waited for a minute and is half done half a minute later is done in another half."""
    seen = seen_at((60.0, 0.01), (90.0, 0.505))
    assert pytest.approx(120.0) == seen.end


@pytest.mark.parametrize("progress", [0.5, 0.3, 0.0, 1.0, 2.0, -1.0, math.nan])
def test_a_percentage_that_does_not_rise_changes_nothing(progress: float) -> None:
    """Nor one that says that it is done when it is not."""
    assert seen_at((60.0, 0.5)).end == seen_at((60.0, 0.5), (70.0, progress)).end


def test_a_miss_is_forgotten_with_the_next_answer() -> None:
    """Nothing else that was seen is."""
    seen = seen_at((60.0, 0.5))
    seen.miss()
    assert (True, 1, 60.0, 120.0) == (seen.missed, seen.polls, seen.at, seen.end)
    seen.note(70.0, None)
    assert (False, 2, 70.0, 120.0) == (seen.missed, seen.polls, seen.at, seen.end)


def test_it_is_known_when_a_job_began_by_the_last_poll_that_said_queued() -> None:
    """Half way from it to the next; of a job that was never seen queued it is not known."""
    seen, never_queued = (
        seen_at((3.0, None, True), (60.0, None, True), (64.0, None), (70.0, None)),
        seen_at((3.0, None), (6.0, None)),
    )
    assert (62.0, None) == (seen.start, never_queued.start)
    seen.miss()
    assert 62.0 == seen.start
    seen.note(80.0, None, queued=True)
    assert seen.start is None


def test_a_job_that_was_seen_to_begin_is_asked_for_when_its_run_is_about_to_end() -> None:
    """However long its queue was; what is known of whole jobs would be to ask now and then."""
    seen = Seen(80, 264.0, queued=260.0, began=264.0)
    whole, run = Learned(40.0, math.log(200.0), 40 * 0.5**2), Learned(40.0, math.log(20.0), 40 * 0.1**2)
    policy = PollPolicy(interval=2.0, jitter=0.0)
    few = Seen(20, 264.0, queued=260.0, began=264.0)
    waits = [policy.delay(elapsed=264.0, seen=each, learned=whole, running=run, chance=0.0) for each in (seen, few)]
    assert [pytest.approx(1.05 * 264.0 / 81), pytest.approx(1.05 * 264.0 / 21)] == waits
    begun = [policy.delay(elapsed=272.0, seen=few, learned=whole, running=known, chance=0.0) for known in (run, None)]
    assert begun[0] > 5.0 > begun[1]


# Somebody who waits.


def test_the_last_poll_is_before_somebody_gives_up() -> None:
    """In time for the answer to arrive; but never within the interval or a hint."""
    policy = PollPolicy(jitter=0.0)
    waits = [delay(policy, learned=NINETY, left=left, chance=0.9) for left in (50.0, 2.0, -5.0)]
    assert [49.0, waits[1], waits[1]] == waits
    assert waits[1] > 75.0
    assert 70.0 == delay(policy, learned=NINETY, left=50.0, hint=70.0)


@pytest.mark.parametrize(
    ("elapsed", "due", "left", "sooner"),
    [(10.0, 70.0, 50.0, 49.0), (10.0, 70.0, 80.0, None), (10.0, 70.0, 3.5, None), (70.0, 70.0, 50.0, None)],
)
def test_a_poll_is_moved_before_the_time_at_which_somebody_gives_up(
    elapsed: float, due: float, left: float, sooner: float | None
) -> None:
    """Unless it comes soon enough, there is too little time, or it is under way."""
    assert sooner == PollPolicy().sooner(elapsed=elapsed, seen=Seen(), due=due, left=left)


def test_jitter_only_ever_adds_to_the_interval() -> None:
    """A tenth at most, by default."""
    assert [3.0, pytest.approx(3.15)] == [delay(chance=0.0), delay(chance=0.5)]


@given(chance=CHANCE)
def test_jitter_spreads_long_waits_over_an_interval(chance: float) -> None:
    """As many polls at a moment as at the fixed interval, when many jobs were submitted at once."""
    seen = Seen(1, 80.0)
    waits = [delay(PollPolicy(jitter=jitter), elapsed=80.0, seen=seen, chance=chance) for jitter in (0.0, 0.1)]
    assert abs(waits[1] - waits[0]) <= 1.5


def test_an_interval_above_a_minute_is_kept() -> None:
    """The longest wait is no limit to what a service documents."""
    assert [90.0, 90.0] == [delay(PollPolicy(interval=90.0)), delay(PollPolicy(interval=90.0), misses=3)]


def test_a_deadline_is_that_of_the_medium_unless_one_is_set() -> None:
    """Half an hour where the medium has none of its own."""
    policy = PollPolicy(timeouts={Media.IMAGE: 300.0})
    assert [300.0, 1800.0] == [policy.deadline(Media.IMAGE), policy.deadline(Media.VIDEO)]
    assert 7.0 == PollPolicy(timeout=7.0).deadline(Media.IMAGE)
    assert [600.0, 1800.0] == [PollPolicy().deadline(media) for media in (Media.IMAGE, Media.VIDEO)]
