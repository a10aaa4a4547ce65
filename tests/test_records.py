"""A job comes back from its row as it went in."""

from __future__ import annotations

import json
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genbridge import (
    Asset,
    AssetRole,
    Certainty,
    Cost,
    Failure,
    ImageRequest,
    Job,
    JobStatus,
    Media,
    Quote,
    Reference,
    ReferenceRole,
    Request,
    Result,
    VideoRequest,
)
from genbridge.journal.records import COLUMNS, dump, load

WORDS = st.text(max_size=8)
MAYBE = st.none() | WORDS
NUMBERS = st.floats(0, 1e6, allow_nan=False) | st.integers(0, 10**6)
TIMES = st.datetimes(datetime(2020, 1, 1), datetime(2090, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 (the time zone is given beside)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=6,
)
PATHS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=8).map(Path)
REFERENCES = st.builds(
    Reference,
    WORDS | PATHS,
    role=st.sampled_from(ReferenceRole),
    kind=st.sampled_from(Media),
    duration=st.none() | NUMBERS,
)
COMMON: dict[str, Any] = {
    "model": MAYBE,
    "aspect_ratio": MAYBE,
    "resolution": MAYBE,
    "seed": st.none() | st.integers(),
    "references": st.lists(REFERENCES, max_size=3),
    "options": st.dictionaries(WORDS, JSON, max_size=3),
}
FLAGS = st.none() | st.booleans()
IMAGES = st.builds(ImageRequest, WORDS, size=MAYBE, count=st.none() | st.integers(), quality=MAYBE, **COMMON)
VIDEOS = st.builds(
    VideoRequest, WORDS, duration=st.none() | NUMBERS, audio=FLAGS, watermark=FLAGS, return_last_frame=FLAGS, **COMMON
)
REQUESTS: st.SearchStrategy[Request] = st.one_of(IMAGES, VIDEOS)
AMOUNTS: dict[str, Any] = {
    "amount": st.none() | NUMBERS,
    "unit": WORDS,
    "certainty": st.sampled_from(Certainty),
    "basis": WORDS,
}
COSTS = st.builds(Cost, **AMOUNTS)
SIZES = st.none() | st.integers(1, 10**4)
ASSETS = st.builds(
    Asset,
    url=WORDS,
    media=st.sampled_from(Media),
    role=st.sampled_from(AssetRole),
    width=SIZES,
    height=SIZES,
    duration=st.none() | NUMBERS,
    expires_at=st.none() | TIMES,
)
RESULTS = st.builds(
    Result,
    job_id=WORDS,
    backend=WORDS,
    provider=WORDS,
    model=WORDS,
    request=REQUESTS,
    assets=st.lists(ASSETS, max_size=3).map(tuple),
    cost=COSTS,
    created_at=TIMES,
    finished_at=TIMES,
    aspect_ratio=MAYBE,
)
JOBS = st.builds(
    Job,
    id=WORDS,
    key=WORDS,
    backend=WORDS,
    provider=WORDS,
    model=WORDS,
    provider_model=WORDS,
    request=REQUESTS,
    status=st.sampled_from(JobStatus),
    quote=st.builds(Quote, model=MAYBE, **AMOUNTS),
    created_at=TIMES,
    submitted_at=st.none() | TIMES,
    finished_at=st.none() | TIMES,
    provider_id=MAYBE,
    progress=st.none() | st.floats(0, 1),
    cost=st.none() | COSTS,
    failure=st.none()
    | st.builds(Failure, message=WORDS, code=MAYBE, kind=MAYBE, status=SIZES, request_id=MAYBE, retry_after=st.none() | NUMBERS),
    result=st.none() | RESULTS,
)

JOB = Job(
    id="job-1",
    key="key-1",
    backend="studio",
    provider="meigen",
    model="seedance-2.0",
    provider_model="seedance-2-0",
    request=VideoRequest("a fox", duration=5),
    status=JobStatus.RUNNING,
    quote=Quote(amount=100.0, unit="points"),
    created_at=datetime(2026, 1, 1, 12, tzinfo=UTC),
)


def stored(row: dict[str, Any]) -> dict[str, Any]:
    """Put a row into a database and take it out again."""
    with sqlite3.connect(":memory:") as db:
        db.row_factory = sqlite3.Row
        marks = ", ".join("?" * len(row))
        db.execute(f"create table jobs ({', '.join(row)})")
        db.execute(f"insert into jobs values ({marks})", tuple(row.values()))
        found = dict(db.execute("select * from jobs").fetchone())
    db.close()
    return found


@given(JOBS)
def test_any_job_comes_back_equal(job: Job) -> None:
    """With whatever its request, its result and its costs hold, and of the same kinds."""
    found = load(stored(dump(job)))
    assert job == found
    assert (type(job.request), repr(job.request)) == (type(found.request), repr(found.request))


def test_a_row_has_the_columns_of_a_job() -> None:
    """In their order, so that the journal can name them."""
    assert COLUMNS == tuple(dump(JOB))


def test_what_is_summed_and_searched_has_columns_of_its_own() -> None:
    """Times in seconds, amounts in the provider's unit."""
    row = dump(attrs.evolve(JOB, cost=Cost(amount=90.0), submitted_at=JOB.created_at + timedelta(seconds=1.5)))
    assert ("video", "running", "points", 100.0, 90.0) == (
        row["media"],
        row["status"],
        row["unit"],
        row["reserved"],
        row["charged"],
    )
    assert (JOB.created_at.timestamp(), JOB.created_at.timestamp() + 1.5, None) == (
        row["created"],
        row["submitted"],
        row["finished"],
    )


def test_what_is_as_usual_is_not_written() -> None:
    """A row is small, and reads well."""
    row = dump(JOB)
    assert {"prompt": "a fox", "duration": 5, "media": "video"} == json.loads(row["request"])
    assert (None, None, None) == (row["cost"], row["failure"], row["result"])


@pytest.mark.parametrize("source", ["https://example.com/a.png", "a.png", "", Path("a.png"), Path("/tmp/зима.png")])
def test_a_path_stays_a_path_and_a_url_a_url(source: str | Path) -> None:
    """A text that looks like a path is none."""
    request = ImageRequest("a fox", references=[Reference(source)])
    (reference,) = load(dump(attrs.evolve(JOB, request=request))).request.references
    assert (source, type(source)) == (reference.source, type(reference.source))


def test_a_row_of_a_later_version_may_say_more() -> None:
    """What this version does not know is passed over."""
    row = dump(JOB)
    row["request"] = json.dumps({**json.loads(row["request"]), "mood": "quiet"})
    assert JOB == load({**row, "mood": "quiet"})
