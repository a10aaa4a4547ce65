"""genbridge's plugin for Acme, which draws."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import quote as escape

from genbridge import (
    Asset,
    Backend,
    Call,
    Capabilities,
    Choice,
    Cost,
    Emulator,
    Exchange,
    Failure,
    Fields,
    Job,
    JobStatus,
    Media,
    Model,
    Option,
    PollPolicy,
    Price,
    Problem,
    Provider,
    Reply,
    Request,
    ServiceError,
    Setting,
    Snapshot,
    TransportError,
    hookimpl,
)

_MODEL = Model(
    id="acme-sketch",
    provider_id="sketch-2",
    media=Media.IMAGE,
    title="Acme Sketch",
    capabilities=Capabilities(
        aspect_ratio=Choice(("1:1", "3:2", "2:3"), default="1:1"),
        prompt_limit=500,
        options=(Option("ink", Choice(("black", "blue", "gold"), default="black"), "the colour of the lines"),),
    ),
    prices=(Price(amount=5, when={"ink": "gold"}), Price(amount=1)),
    expected=4.0,
)
_PROVIDER = Provider(
    name="acme",
    title="Acme",
    base_url="https://api.acme.example/v2",
    key_variable="ACME_API_KEY",
    key_url="https://acme.example/keys",
    auth_header="X-Api-Key",
    auth_prefix="",
    unit="acorns",
    poll=PollPolicy(interval=1.0),
    models=(_MODEL,),
    settings=(Setting(name="workspace", description="the workspace to draw in; the account's first when left out"),),
)
_STATUSES = {
    "queued": JobStatus.QUEUED,
    "drawing": JobStatus.RUNNING,
    "drawn": JobStatus.SUCCEEDED,
    "spoilt": JobStatus.FAILED,
    "stopped": JobStatus.CANCELLED,
}


@hookimpl
def describe() -> Provider:
    """Return the static facts."""
    return _PROVIDER


@hookimpl
def check(request: Request) -> Iterable[Problem]:
    """Gold needs a square sheet."""
    if request.options.get("ink") == "gold" and request.aspect_ratio not in (None, "1:1"):
        yield Problem("aspect_ratio", "gold ink is for 1:1 only")


@hookimpl
def submit(backend: Backend, request: Request) -> Call | Exchange[Reply]:
    """Draw in the configured workspace, or ask for the account's first one and draw there."""
    workspace = backend.settings["workspace"]
    return _draw(workspace, request) if workspace else _find_and_draw(request)


def _find_and_draw(request: Request) -> Exchange[Reply]:
    reply = yield Call.get("/workspaces")
    if not reply.ok:
        return reply
    workspace = next((item.text("id") for item in reply.fields().items("workspaces")), None)
    if workspace is None:
        raise ServiceError("the account has no workspace; make one on acme.example", status=reply.status)
    return (yield _draw(workspace, request))


def _draw(workspace: str, request: Request) -> Call:
    sheet = {"model": request.model, "text": request.prompt, "ratio": request.aspect_ratio or "1:1", **request.options}
    return Call.post(f"/workspaces/{escape(workspace, safe='')}/drawings", json=sheet)


@hookimpl
def poll(job: Job) -> Call:
    """Ask for the drawing."""
    return Call.get(_drawing(job))


@hookimpl
def cancel(job: Job) -> Call:
    """Put the pen down."""
    return Call(method="DELETE", url=_drawing(job))


def _drawing(job: Job) -> str:
    return f"/drawings/{escape(job.provider_id or '', safe='')}"


@hookimpl
def normalize(job: Job, reply: Reply) -> Snapshot:
    """Read a drawing, or the reason why there is none."""
    if not reply.ok:
        raise _refusal(reply)
    drawing = reply.fields().item("drawing")
    provider_id, word = drawing.text("id") or job.provider_id, drawing.text("state") or ""
    if provider_id is None or not word:
        raise TransportError("the answer is not a drawing")
    status = _STATUSES.get(word)
    assets = tuple(Asset(url=url, media=Media.IMAGE) for url in drawing.texts("sheets"))
    if status is None or (status is JobStatus.SUCCEEDED and not assets):
        return Snapshot(status=JobStatus.RUNNING, provider_id=provider_id, note=f"it is {word!r}, and there is nothing to see")
    return Snapshot(
        status=status,
        provider_id=provider_id,
        assets=assets,
        failure=Failure(message=drawing.text("why") or "Acme does not say why") if status is JobStatus.FAILED else None,
        cost=Cost(amount=drawing.number("acorns"), unit=_PROVIDER.unit),
        refunded=status is JobStatus.FAILED,
    )


def _refusal(reply: Reply) -> ServiceError:
    try:
        why = Fields(reply.json()).text("why")
    except TransportError:
        why = None
    return ServiceError.for_status(reply.status, why or f"it answered HTTP {reply.status}", retry_after=reply.retry_after)


@hookimpl
def emulate() -> Emulator:
    """Return a new emulator of Acme."""
    from genbridge_acme._emulator import AcmeEmulator

    return AcmeEmulator()
