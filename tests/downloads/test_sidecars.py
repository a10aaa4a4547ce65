"""Names of files, and what is written beside them."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genbridge import __version__
from genbridge.downloads.sidecars import decode, encode, sidecar, stem
from genbridge.types import (
    Asset,
    AssetRole,
    Certainty,
    Cost,
    ImageRequest,
    Media,
    Reference,
    ReferenceRole,
    Result,
    VideoRequest,
)

ASSET = Asset(url="https://files.example/a/x.mp4?signature=secret", media=Media.VIDEO, width=1280, height=720, duration=5.0)
RESULT = Result(
    job_id="0123456789abcdef",
    backend="studio",
    provider="imini",
    model="seedance-2.0",
    request=VideoRequest(
        "Mist",
        duration=5,
        references=(
            Reference(Path("photos/me.jpg"), role=ReferenceRole.FIRST_FRAME),
            Reference("https://files.example/a.png?signature=secret"),
            Reference("data:image/png;base64," + "A" * 5000),
            Reference("data:image/png;base64,AAAA"),
        ),
        options={"seed": [1, 2.5, float("inf")], "extra": {"mask": "DATA:image/png;base64," + "A" * 5000}, "path": Path("x")},
    ),
    assets=(ASSET,),
    cost=Cost(amount=130.0, certainty=Certainty.ESTIMATED, basis="26 credits per second × 5"),
    created_at=datetime(2026, 1, 1, tzinfo=UTC),
    finished_at=datetime(2026, 1, 1, 0, 1, 30, tzinfo=UTC),
    aspect_ratio="16:9",
)


def test_a_sidecar_says_how_a_file_was_made() -> None:
    """Request, service, cost, times, digest and version, and nothing of a signature."""
    expected = {
        "genbridge": __version__,
        "file": "x.mp4",
        "media": "video",
        "role": "output",
        "bytes": 7,
        "sha256": "d1",
        "width": 1280,
        "height": 720,
        "duration": 5.0,
        "url": "https://files.example/a/x.mp4",
        "job_id": "0123456789abcdef",
        "backend": "studio",
        "provider": "imini",
        "model": "seedance-2.0",
        "aspect_ratio": "16:9",
        "cost": {"amount": 130.0, "unit": "credits", "certainty": "estimated", "basis": "26 credits per second × 5"},
        "created_at": "2026-01-01T00:00:00+00:00",
        "finished_at": "2026-01-01T00:01:30+00:00",
        "seconds": 90.0,
        "request": {
            "media": "video",
            "prompt": "Mist",
            "duration": 5,
            "references": [
                {"source": "photos/me.jpg", "role": "first_frame", "kind": "image", "duration": None},
                {"source": "https://files.example/a.png", "role": "asset", "kind": "image", "duration": None},
                {
                    "source": "data:image/png;base64," + "A" * 42 + "… (5022 characters)",
                    "role": "asset",
                    "kind": "image",
                    "duration": None,
                },
                {"source": "data:image/png;base64,AAAA", "role": "asset", "kind": "image", "duration": None},
            ],
            "options": {
                "seed": [1, 2.5, "inf"],
                "extra": {"mask": "DATA:image/png;base64," + "A" * 42 + "… (5022 characters)"},
                "path": "x",
            },
        },
    }
    assert expected == sidecar(RESULT, ASSET, Path("out/x.mp4"), "d1", 7)


def test_a_clock_that_was_put_back_gives_no_negative_seconds() -> None:
    """A job takes no less than no time."""
    turned = attrs.evolve(RESULT, created_at=RESULT.finished_at, finished_at=RESULT.created_at)
    assert 0.0 == sidecar(turned, ASSET, "x.mp4", "d1", 7)["seconds"]


VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3)


@given(prompt=st.text(), value=VALUES | st.lists(VALUES, max_size=3) | st.dictionaries(st.text(max_size=3), VALUES, max_size=3))
def test_any_request_can_be_written_and_read_again(prompt: str, value: Any) -> None:
    """Half surrogates and numbers that JSON has not do not stop it."""
    document = sidecar(attrs.evolve(RESULT, request=ImageRequest(prompt, options={"own": value})), ASSET, "x.png", "d1", 7)
    assert document == decode(encode(document))


def test_a_sidecar_is_readable_in_any_language() -> None:
    """A prompt in Chinese is written as such."""
    document = sidecar(attrs.evolve(RESULT, request=ImageRequest("山谷")), ASSET, "x.png", "d1", 7)
    assert "山谷" in encode(document).decode()
    assert document == json.loads(encode(document))


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"\xff\xfe", b"[" * 100_000])
def test_what_is_no_sidecar_says_nothing(data: bytes) -> None:
    """It is never an error."""
    assert {} == decode(data)


@pytest.mark.parametrize(
    ("prompt", "job_id", "expected"),
    [
        ("A misty valley, at dawn", "0123456789abcdef", "01234567-a-misty-valley-at-dawn-1"),
        ("Été à la plage", "0123456789abcdef", "01234567-ete-a-la-plage-1"),
        ("山谷", "0123456789abcdef", "01234567-image-1"),
        ("", "", "job-image-1"),
        ("x" * 100, "a/../b c", f"abc-{'x' * 40}-1"),
        ("x" * 39 + " and more", "1", f"1-{'x' * 39}-1"),
    ],
)
def test_a_name_is_made_of_the_job_and_the_prompt(prompt: str, job_id: str, expected: str) -> None:
    """Short, plain, and the medium where the prompt has no Latin letters."""
    made = attrs.evolve(RESULT, job_id=job_id, request=ImageRequest(prompt))
    assert expected == stem(made, 0)


def test_assets_are_numbered_in_their_role() -> None:
    """The cover and the last frame say so."""
    roles = [AssetRole.OUTPUT, AssetRole.COVER, AssetRole.OUTPUT, AssetRole.LAST_FRAME, AssetRole.COVER]
    made = attrs.evolve(RESULT, assets=tuple(attrs.evolve(ASSET, role=role) for role in roles))
    expected = ["1", "1-cover", "2", "1-last-frame", "2-cover"]
    assert expected == [stem(made, index).removeprefix("01234567-mist-") for index in range(len(roles))]


@given(prompt=st.text(), job_id=st.text())
def test_no_prompt_and_no_id_makes_a_name_that_leads_elsewhere(prompt: str, job_id: str) -> None:
    """A name is letters, digits, hyphens and underscores, and short enough for any file system."""
    name = stem(attrs.evolve(RESULT, job_id=job_id, request=ImageRequest(prompt)), 0)
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,60}", name)
