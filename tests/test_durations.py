"""What is learned of how long jobs take."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genbridge.durations import Forecast, Key, Learned, by_model, forecast, key_of, learn, merged, usual
from genbridge.types import ImageRequest, Job, JobStatus, Media, Quote, Request, VideoRequest

GAP = st.tuples(st.floats(min_value=0, max_value=1e6), st.floats(min_value=1e-3, max_value=1e6))
NINETY = Learned(40.0, math.log(90.0), 40 * 0.1**2)
FEW = Learned(1.0, 3.0)


def after(learned: Learned | None, *gaps: tuple[float, float]) -> Learned:
    """Return what is known after jobs that ended in those gaps between two polls."""
    for least, most in gaps:
        learned = learn(learned, least, most)
    assert learned is not None
    return learned


def a_job(request: Request) -> Job:
    """Return a job of a request."""
    return Job(
        id="j1",
        key="k1",
        backend="main",
        provider="studio",
        model="clip",
        provider_model="clip-1",
        request=request,
        status=JobStatus.RUNNING,
        quote=Quote(amount=1),
        created_at=datetime.now(UTC),
    )


@given(gaps=st.lists(GAP, min_size=1, max_size=30))
def test_what_is_learned_is_finite_whatever_was_seen(gaps: list[tuple[float, float]]) -> None:
    """And never of more jobs than are remembered."""
    learned = after(None, *((min(gap), max(gap)) for gap in gaps))
    likely = forecast(learned)
    assert 1 <= learned.count <= 40
    assert all(map(math.isfinite, (learned.mean, learned.squares, learned.odd, likely.median, likely.spread)))
    assert learned.squares >= -1e-9
    assert likely.spread > 0


def test_what_is_learned_comes_to_what_is_true() -> None:
    """The median and the spread of jobs whose ends are known to three seconds."""
    chance, learned = Random(1), None
    for _ in range(400):
        seconds = 90.0 * math.exp(0.2 * chance.gauss())
        learned = learn(learned, seconds // 3 * 3, seconds // 3 * 3 + 3)
    assert learned is not None
    likely = forecast(learned)
    assert 80.0 < likely.median < 100.0
    assert 0.15 < likely.spread < 0.27


@given(pace=st.floats(min_value=0.1, max_value=100))
def test_at_another_pace_all_times_are_shorter_by_it(pace: float) -> None:
    """As in a sandbox, where the service's time passes faster."""
    assert pytest.approx(forecast(NINETY).median / pace) == forecast(NINETY.at_pace(pace)).median


# Changes.


def test_one_freak_is_not_learned() -> None:
    """The next job shows that nothing has changed."""
    learned = after(NINETY, (360.0, 363.0), (88.0, 91.0))
    assert pytest.approx(90.0, abs=1.0) == forecast(learned).median
    assert 0.0 == learned.odd


@pytest.mark.parametrize("factor", [1.5, 2.0, 4.0])
def test_two_jobs_that_are_late_alike_are_a_change(factor: float) -> None:
    """What was known before is forgotten."""
    late = (90.0 * factor, 90.0 * factor + 3)
    learned = after(NINETY, late, late)
    assert 2.0 == learned.count
    assert pytest.approx(90.0 * factor + 1.5, rel=0.01) == forecast(learned).median


def test_jobs_that_are_done_at_an_early_look_are_a_change() -> None:
    """They took at the most so long: the truth is looked for a little below."""
    learned = after(NINETY, (0.0, 55.0), (0.0, 55.0))
    assert 2.0 == learned.count
    assert 30.0 < forecast(learned).median < 55.0


def test_a_job_that_is_done_at_the_first_look_is_learned_to_have_ended_shortly_before() -> None:
    """It was no surprise, so it was not done for long."""
    learned = after(NINETY, (0.0, 82.0))
    assert 86.0 < forecast(learned).median < 90.0
    assert learned.odd < 0


# What people are told.


def test_usual_is_from_the_first_tenth_to_the_last_and_late_is_one_in_twenty() -> None:
    """Of many jobs, as of the normal distribution."""
    found = usual(Learned(1e6, math.log(90.0), 1e6 * 0.2**2))
    assert found is not None
    expected = [90.0 * math.exp(0.2 * quantile) for quantile in (-1.2816, 1.2816, 1.6449)]
    assert [pytest.approx(value, rel=0.01) for value in expected] == [found.low, found.high, found.late]


def test_of_few_jobs_nobody_is_told() -> None:
    """Three are enough."""
    assert [None, None, False] == [usual(None), usual(Learned(2.0, 4.5)), usual(Learned(3.0, 4.5)) is None]


def test_a_quantile_of_few_jobs_is_farther_out() -> None:
    """Student's 95th percentile with five degrees of freedom is 2.015."""
    assert pytest.approx(math.exp(2.015), rel=0.01) == Forecast(1.0, 1.0, 5.0).quantile(1.6449)


def test_several_kinds_of_jobs_are_told_of_as_one() -> None:
    """Between both medians, and with the spread of both."""
    both = merged([NINETY, Learned(40.0, math.log(180.0), 0.4)])
    assert both is not None
    assert pytest.approx(math.sqrt(90.0 * 180.0)) == forecast(both).median
    assert forecast(both).spread > 0.3
    assert merged([]) is None


def test_a_model_is_told_of_whatever_is_asked_of_it() -> None:
    """But not another provider's, nor one of which too few jobs were seen."""
    keys = [Key("studio", "clip-1", "video", variant) for variant in ("720p 5", "480p 5")]
    keys_of_runs = {keys[0].running: Learned(40.0, 1.0)}
    others = {
        **keys_of_runs,
        Key("other", "clip-1", "video", "720p 5"): NINETY,
        Key("studio", "still-1", "image", "- - 1"): Learned(1.0, 3.0),
    }
    found = by_model({**dict.fromkeys(keys, NINETY), **others}, {"studio": 1.0})
    assert {("clip-1", Media.VIDEO): usual(merged([NINETY, NINETY]))} == found


def test_a_duration_is_kept_by_model_and_what_changes_it() -> None:
    """Not by the prompt; what the request leaves open is its own kind."""
    video = VideoRequest("a fox", resolution="720p", duration=5)
    still = ImageRequest("a fox", size="1024x1024", quality="high", count=2)
    assert [Key("studio", "clip-1", "video", "720p 5"), Key("studio", "clip-1", "image", "1024x1024 high 2")] == [
        key_of(a_job(video)),
        key_of(a_job(still)),
    ]
    assert key_of(a_job(VideoRequest("a fox"))) == key_of(a_job(VideoRequest("a hare")))
