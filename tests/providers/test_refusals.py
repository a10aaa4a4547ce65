"""What is known of a submit to each provider when the answer is an error."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, cast

import attrs
import genbridge_imini
import genbridge_meigen
import genbridge_sseedance
import pytest

from genbridge import (
    BackendError,
    Call,
    ContentPolicyError,
    ImageRequest,
    InsufficientCreditsError,
    InvalidRequestError,
    Job,
    JobStatus,
    Media,
    Quote,
    RateLimitError,
    Reply,
    ServiceError,
    TransportError,
    Verdict,
)
from genbridge.backends import Account
from genbridge.config import BackendConfig, Secret
from genbridge.plugins import plugin_of
from genbridge.testing.clock import FakeClock

PROVIDERS = {"imini": genbridge_imini, "meigen": genbridge_meigen, "sseedance": genbridge_sseedance}
REQUEST = ImageRequest("a cat")


@attrs.frozen
class Line:
    """A transport on which everything has one answer."""

    reply: Reply

    async def send(self, call: Call, origin: object) -> Reply:
        return self.reply


async def failure(name: str, reply: Reply) -> BackendError:
    """Submit an image to a provider that answers with an error, and return what comes of it."""
    plugin = plugin_of(name, PROVIDERS[name])
    model = next(model for model in plugin.provider.models if model.media is Media.IMAGE and not model.unavailable)
    config = BackendConfig(name=name, provider=name, api_key=Secret("k" * 32))
    job = Job(
        id="1",
        key="3f0b7a52-7a43-4a7b-9a51-3d6d1f3b8a10",
        backend=name,
        provider=name,
        model=model.id,
        provider_model=model.provider_id,
        request=REQUEST,
        status=JobStatus.SUBMITTING,
        quote=Quote(amount=5.0),
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
    )
    clock = FakeClock()
    account = Account(config, plugin, cast("Any", Line(reply)), clock)
    with pytest.raises(BackendError) as caught:
        await clock.run(account.submit(job, REQUEST))
    return caught.value


@pytest.mark.parametrize(
    ("name", "document", "expected"),
    [
        ("imini", {"error": {"code": "INSUFFICIENT_CREDITS", "message": "no", "status": 402}}, InsufficientCreditsError),
        ("imini", {"error": {"code": "INVALID_PROMPT", "message": "no"}}, InvalidRequestError),
        ("imini", {"error": {"message": "no", "status": 429}}, RateLimitError),
        ("sseedance", {"code": -1, "message": "credits are not enough"}, InsufficientCreditsError),
        ("sseedance", {"code": 402, "message": "x"}, InsufficientCreditsError),
        ("sseedance", {"error": {"message": "no", "code": "insufficient_credits"}}, InsufficientCreditsError),
        ("sseedance", {"code": 1, "message": "this model is not supported"}, InvalidRequestError),
        ("meigen", {"success": False, "error": "Insufficient credits"}, InsufficientCreditsError),
        ("meigen", {"success": False, "error": "Something broke"}, InvalidRequestError),
        ("meigen", {"success": False}, InvalidRequestError),
        ("meigen", {"success": False, "error": "x", "code": "content_policy_violation"}, ContentPolicyError),
        ("meigen", {"error": "Unsupported aspect ratio"}, InvalidRequestError),
        ("sseedance", {"code": -1, "message": "insufficient credits"}, InsufficientCreditsError),
        ("sseedance", {"error": {"message": "rate limit exceeded"}}, RateLimitError),
    ],
)
async def test_a_known_error_in_a_200_is_a_refusal(name: str, document: dict[str, Any], expected: type[ServiceError]) -> None:
    """Nothing was started, and the job may be sent elsewhere."""
    error = await failure(name, Reply.of(document))
    assert (expected, Verdict.REFUSED, 200) == (type(error), error.verdict, getattr(error, "status", None))


@pytest.mark.parametrize(
    ("name", "document"),
    [
        ("imini", {"error": {"code": "SOMETHING_NEW", "message": "no"}}),
        ("imini", {"error": {"code": "INTERNAL", "message": "no", "status": 500}}),
        ("imini", {"error": {"code": "INVALID_PARAMETER", "message": "no", "status": 500}}),
        ("meigen", {"error": "Something broke"}),
        ("meigen", {"success": False, "generationId": "g-1", "error": "broken"}),
        ("sseedance", {"code": -1, "message": "socket hang up"}),
        ("sseedance", {"code": 7}),
    ],
)
async def test_any_other_error_in_a_200_leaves_it_open_whether_there_is_a_job(name: str, document: dict[str, Any]) -> None:
    """It may be a crash after the job was made, so nobody may send it again."""
    error = await failure(name, Reply.of(document))
    assert (ServiceError, Verdict.UNKNOWN) == (type(error), error.verdict)


@pytest.mark.parametrize(
    ("name", "document"),
    [
        ("meigen", {"success": False, "generationId": "g-1", "error": "Insufficient credits"}),
        ("meigen", {"jobId": "g-1", "error": "x", "code": "content_policy_violation"}),
        ("sseedance", {"id": "t-1", "error": {"message": "insufficient credits"}}),
        ("sseedance", {"id": "t-1", "code": 402, "message": "x"}),
    ],
)
async def test_a_known_error_that_names_a_job_is_no_refusal(name: str, document: dict[str, Any]) -> None:
    """There may be that job, so nobody may send it again; the error is still told for what it is."""
    error = await failure(name, Reply.of(document))
    assert (Verdict.UNKNOWN, True) == (error.verdict, type(error) in {InsufficientCreditsError, ContentPolicyError})


@pytest.mark.parametrize("name", PROVIDERS)
async def test_a_server_error_leaves_it_open_and_a_client_error_does_not(name: str) -> None:
    """Whatever its words."""
    replies = [Reply.of({"error": "invalid params"}, status=status) for status in (500, 422)]
    assert [Verdict.UNKNOWN, Verdict.REFUSED] == [(await failure(name, reply)).verdict for reply in replies]


@pytest.mark.parametrize("name", PROVIDERS)
async def test_a_page_in_a_200_leaves_it_open_whether_there_is_a_job(name: str) -> None:
    """A proxy may have swallowed the answer."""
    error = await failure(name, Reply(status=200, headers={"content-type": "text/html"}, body=b"<html>"))
    assert (TransportError, Verdict.UNKNOWN) == (type(error), error.verdict)


@pytest.mark.parametrize("name", PROVIDERS)
async def test_what_a_service_says_is_one_line_for_people(name: str) -> None:
    """No page, and nothing that a terminal would obey."""
    document = {"error": {"message": "not \x1b[31mnow\x1b[0m,\n\u202esorry\x07"}}
    assert "not now, sorry" == (await failure(name, Reply.of(document, status=400))).message
    page = {"error": "<!DOCTYPE html><h1>nginx</h1>"}
    expected = "it answered HTTP 400 without a reason that can be read"
    assert expected == (await failure(name, Reply.of(page, status=400))).message
