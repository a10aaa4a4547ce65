"""How a provider is written. Type-checked, never run."""

from __future__ import annotations

from collections.abc import Iterable
from typing import assert_type

from genbridge import (
    Anything,
    Asset,
    Backend,
    Call,
    Capabilities,
    Choice,
    Emulator,
    Exchange,
    Fields,
    File,
    Group,
    Job,
    JobStatus,
    Limits,
    Media,
    Model,
    Option,
    PollPolicy,
    Price,
    Problem,
    Provider,
    Quote,
    Range,
    ReferenceRole,
    ReferenceRule,
    Reply,
    Request,
    ServiceError,
    Setting,
    Snapshot,
    Text,
    hookimpl,
)

MODEL = Model(
    id="sepia-1",
    provider_id="sepia-one",
    media=Media.IMAGE,
    capabilities=Capabilities(
        aspect_ratio=Choice(("1:1", "16:9"), default="1:1"),
        count=Range(1, 4, default=1),
        references=(ReferenceRule(role=ReferenceRole.STYLE, most=2),),
        options=(
            Option("grain", Range(0, 1, step=None)),
            Option("flip", Choice((True, False))),
            Option("ink", Text("#[0-9a-f]{6}", hint="a colour")),
            Option("more", Group((Option("anything", Anything()),))),
        ),
    ),
    prices=(Price(amount=2, per="image"),),
)


@hookimpl
def describe() -> Provider:
    """Say what is always true."""
    return Provider(
        name="sepia",
        base_url="https://api.sepia.example",
        key_variable="SEPIA_API_KEY",
        poll=PollPolicy(interval=2),
        limits=Limits(submits=12, per=60.0),
        models=(MODEL,),
        settings=(Setting(name="region", description="where it runs", default="eu"),),
    )


@hookimpl
def submit(backend: Backend, request: Request, key: str | None) -> Exchange[Reply]:
    """Take two calls."""
    token = yield Call.get("/v1/token")
    assert_type(token, Reply)
    body = {"prompt": request.prompt, "token": token.fields().text("token"), "key": key, "region": backend.settings["region"]}
    return (yield Call.post("/v1/jobs", json=body, repeatable=True))


@hookimpl
def poll(job: Job) -> Call:
    """Take one."""
    return Call.get(f"/v1/jobs/{job.provider_id}", timeout=10)


@hookimpl
def normalize(reply: Reply) -> Snapshot:
    """Read any reply."""
    if not reply.ok:
        raise ServiceError.for_status(reply.status, "the service said no", retry_after=reply.retry_after)
    fields = reply.fields()
    assert_type(fields, Fields)
    assert_type(fields.item("data").items("files"), tuple[Fields, ...])
    assets = tuple(Asset(url=url, media=Media.IMAGE) for url in fields.texts("urls"))
    return Snapshot(status=JobStatus.SUCCEEDED, provider_id=fields.text("id"), assets=assets, progress=fields.number("progress"))


@hookimpl
def check(request: Request, model: Model) -> Iterable[Problem]:
    """Name what is wrong."""
    if request.seed == model.default("seed"):
        yield Problem("seed", "is not allowed")


@hookimpl
def quote(request: Request) -> Quote | None:
    """Leave it to the list."""
    return Quote(amount=3) if request.references else None


@hookimpl
def upload(file: File) -> Exchange[str]:
    """Put a file where the service can reach it."""
    place = (yield Call.post("/v1/files", json={"name": file.name})).fields()
    yield Call.put(place.text("put") or "", body=file.data, content_type=file.content_type)
    return place.text("url") or ""


class Sepia:
    """A service that answers everything with nothing."""

    key = "sandbox-key"

    def answer(self, call: Call, now: float) -> Reply:
        """Answer one call."""
        return Reply.of({"path": call.path, "query": call.query, "now": now}, status=404)


@hookimpl
def emulate() -> Emulator:
    """Offer an emulator."""
    return Sepia()
