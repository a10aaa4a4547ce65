"""How an application uses the client. Type-checked, never run."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import datetime
from pathlib import Path
from typing import assert_never, assert_type

import genbridge
from genbridge import (
    Asset,
    Batch,
    BlockingClient,
    BlockingHandle,
    Certainty,
    Client,
    Cost,
    Entry,
    Handle,
    ImageRequest,
    Job,
    JobStatus,
    Media,
    Model,
    Outcome,
    Quote,
    Reference,
    ReferenceRole,
    Request,
    Result,
    Snapshot,
    Spent,
    Usage,
    VideoRequest,
)

first = Reference("https://example.com/first.png", role=ReferenceRole.FIRST_FRAME)
clip = Reference(Path("clip.mp4"), role=ReferenceRole.EXTEND, kind=Media.VIDEO, duration=4.5)

image = ImageRequest(
    "A lighthouse",
    model="gpt-image-2",
    aspect_ratio="16:9",
    size="1024x1024",
    resolution="2k",
    count=2,
    quality="high",
    seed=7,
    references=(first,),
    options={"niji7Options": {"chaos": 3}},
)
video = VideoRequest(
    "A slow pan across a misty valley",
    model="seedance-2.0",
    aspect_ratio="16:9",
    resolution="720p",
    duration=5,
    audio=True,
    seed=7,
    watermark=False,
    return_last_frame=True,
    references=(first, clip),
    options={},
)


async def submits(request: Request) -> Result:
    """Submit, follow, wait, save."""
    async with Client() as client:
        assert_type(client, Client)
        assert_type(await client.quote(request, backend="studio"), Quote)
        handle = await client.submit(request, backend="studio", max_cost=100)
        assert_type(handle, Handle)
        assert_type(handle.id, str)
        assert_type(handle.job, Job)
        assert_type(handle.expected, float | None)
        assert_type(handle.events(), AsyncIterator[Snapshot])
        async for snapshot in handle.events():
            assert_type(snapshot.progress, float | None)
        result = await handle.result(timeout=600)
        assert_type(result, Result)
        assert_type(await client.download(result, "out"), list[Path])
        assert_type(await client.download(result, Path("out")), list[Path])
        await handle.cancel()
    return result


async def goes_on(job_id: str) -> None:
    """Find jobs of an earlier process, and drive them to their end."""
    async with Client("genbridge.toml", journal=None) as client:
        assert_type(client.handle(job_id), Handle)
        assert_type(await client.resume(), list[Handle])
        assert_type(client.jobs(), AsyncIterator[Job])
        async for job in client.jobs(status=JobStatus.UNKNOWN, backend="studio", limit=10):
            assert_type(job, Job)


async def makes_many(requests: list[Request]) -> None:
    """Make many at once, and know what became of them and what they cost."""
    async with Client() as client:
        batch = await client.batch(requests, name="shots", max_total=500)
        assert_type(batch, Batch)
        assert_type(batch.entries, tuple[Entry, ...])
        assert_type(batch.totals, tuple[Quote, ...])
        assert_type(await batch.run(directory="out", timeout=600), list[Outcome])
        assert_type(await client.generate_many(requests, ids=["waves", None], directory="out"), list[Outcome])
        await client.generate_many(requests, max_totl=500)  # type: ignore[call-arg]
        assert_type(await client.spend(), list[Spent])
    assert_type(await client.usage("studio"), Usage)


async def settles(request: Request) -> None:
    """Submit under an id of one's own, and say what became of it."""
    async with Client() as client:
        handle = await client.submit(request, id="waves", save_to="out", retry_failed=True, observe=print)
        assert_type(await handle.not_sent(), Job)
        await handle.adopt("task-1")


async def tries() -> None:
    """Use the sandbox."""
    async with Client.sandbox() as client:
        assert_type(client, Client)
        assert_type(await client.generate(image, timeout=60), Result)
        assert_type(await client.models("meigen"), list[Model])


def blocks() -> None:
    """Do the same without `await`."""
    result = genbridge.generate(video, backend="imini", config=Path("genbridge.toml"), max_cost=80, timeout=600)
    assert_type(result, Result)
    assert_type(genbridge.save(result, "out"), list[Path])
    with BlockingClient(Client.sandbox()) as client:
        assert_type(client.quote(image), Quote)
        assert_type(client.submit(image), BlockingHandle)
        assert_type(client.submit(image).events(), Iterator[Snapshot])
        assert_type(client.jobs(), Iterator[Job])
        assert_type(client.resume(), list[BlockingHandle])


def reads(result: Result) -> None:
    """Look at what was made and what it cost."""
    assert_type(result.assets, tuple[Asset, ...])
    assert_type(result.cost, Cost)
    assert_type(result.cost.amount, float | None)
    assert_type(result.cost.certainty, Certainty)
    assert_type(result.request, ImageRequest | VideoRequest)
    for asset in result:
        assert_type(asset, Asset)
    for asset in result.assets:
        assert_type(asset.url, str)
        assert_type(asset.media, Media)
        assert_type(asset.expires_at, datetime | None)


def matches(status: JobStatus) -> bool:
    """Deal with every status there is."""
    match status:
        case JobStatus.PENDING | JobStatus.SUBMITTING | JobStatus.UNKNOWN | JobStatus.QUEUED | JobStatus.RUNNING:
            return False
        case JobStatus.SUCCEEDED | JobStatus.FAILED | JobStatus.CANCELLED | JobStatus.EXPIRED:
            return status.terminal
        case _:
            assert_never(status)


def narrows(request: Request) -> float | int | None:
    """Tell an image from a video by its class or its medium."""
    if isinstance(request, ImageRequest):
        return request.count
    return request.duration
