"""The JSON that `--json` prints."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from genbridge.catalogue import Model
from genbridge.cli import output
from genbridge.cli.backends import Row
from genbridge.cli.config import check_form
from genbridge.cli.models import model_form
from genbridge.config import BackendConfig, Config
from genbridge.errors import Problem, RequestError
from genbridge.types import Failure, ImageRequest, Job, JobStatus, Quote, VideoRequest


def documented(name: str) -> set[str]:
    """Return the fields that the module's docstring names for a form, without what it says in brackets."""
    text = str(output.__doc__).partition(f" {name} has\n")[2]
    paragraph = re.split(r"\nAn? [A-Z]+ has\n", text)[0]
    return set(re.findall(r"`(\w+)`", re.sub(r"\([^()]*\)", "", paragraph)))


def test_every_form_has_the_documented_fields(make_job: Callable[..., Job], painter: Model) -> None:
    """No more, and no fewer."""
    row = Row(backend=BackendConfig(name="studio", provider="acme"))
    error = output.error_form(RequestError("no", problems=[Problem("seed", "no")]))
    forms = {
        "JOB": output.job_form(make_job()),
        "MONEY": output.money_form(Quote(amount=5)),
        "QUOTED": output.quoted_form(ImageRequest("kite"), None, None, error=None),
        "MODEL": model_form(painter, "studio"),
        "BACKEND": row.form(None),
        "CHECK": check_form(Config(), ()),
        "ERROR": error,
        "PROBLEM": error["problems"][0],
    }

    assert {name: documented(name) for name in forms} == {name: set(form or {}) for name, form in forms.items()}
    assert set(error) == set(output.interruption_form("stopped")) == set(output.bug_form(KeyError("x")))


def test_a_request_without_a_job_has_the_same_fields(make_job: Callable[..., Job]) -> None:
    """So that a script needs one way to read both."""
    empty = output.unrecorded_form(ImageRequest("kite"), backend=None, quote=None, error=None)

    assert set(output.job_form(make_job())) == set(empty)


def test_a_finished_job_is_told_in_full(make_job: Callable[..., Job], finish: Callable[[Job], Job]) -> None:
    """With its assets, its cost and the files that were saved."""
    form = output.job_form(finish(make_job(VideoRequest("kite"))), paths=[Path("out/a.mp4")])

    assert "succeeded" == form["status"]
    assert {"amount": 5, "unit": "credits", "certainty": "exact", "basis": ""} == form["cost"]
    assert "2026-08-01T12:00:21+00:00" == form["finished_at"]
    assert [("https://cdn.example/job1.mp4", "video", "output", 1024)] == [
        (asset["url"], asset["media"], asset["role"], asset["width"]) for asset in form["assets"]
    ]
    assert ["out/a.mp4"] == form["paths"]
    assert form["error"] is None


def test_a_failed_job_says_why(make_job: Callable[..., Job]) -> None:
    """In the service's words."""
    form = output.job_form(make_job(status=JobStatus.FAILED, failure=Failure(message="too dark", code="E7")))

    assert {"message": "too dark", "code": "E7"} == form["failure"]


def test_an_error_has_its_kind_problems_and_code() -> None:
    """The problems apart from the message."""
    error = RequestError("the request is not valid", problems=[Problem("seed", "not a number")])

    expected = {
        "kind": "RequestError",
        "message": "the request is not valid",
        "problems": [{"field": "seed", "message": "not a number"}],
        "exit_code": 2,
    }
    assert expected == output.error_form(error)


def test_times_are_written_in_utc() -> None:
    """Wherever they are from."""
    time = datetime(2026, 8, 1, 14, 0, tzinfo=timezone(timedelta(hours=2)))

    assert "2026-08-01T12:00:00+00:00" == output.time_form(time)
    assert output.time_form(None) is None


def test_json_is_written_in_ascii(capsys: pytest.CaptureFixture[str]) -> None:
    """It survives any encoding of stdout, half surrogate pairs too."""
    output.print_json({"prompt": "\u4f60\udc80"})

    printed = capsys.readouterr().out
    assert printed.isascii()
    assert {"prompt": "\u4f60\udc80"} == json.loads(printed)


def test_a_quote_without_an_amount_is_null() -> None:
    """Not known is not zero."""
    form = output.quoted_form(ImageRequest("kite", model="m"), "studio", Quote(amount=None, model="m-1"), error=None)

    assert form["quote"]["amount"] is None
    assert "unknown" == form["quote"]["certainty"]
    assert ("m-1", "studio", "image") == (form["model"], form["backend"], form["media"])
