"""genbridge's plugin for imini: videos with Seedance, Kling and HappyHorse, images with Nano Banana and GPT Image 2.

`Reference` roles become imini's `reference_type`: `first_frame`, `last_frame` and `asset` for videos, `asset` and `style` for
images. A video as `asset` is one of its `reference_videos`, which guide the result. None of its pages describes a video that is
continued, so the role `extend` is refused; to chain videos, ask for `return_last_frame` and make that image the next `first_frame`.

`options` takes what imini has in `extra_params` by its own names: Kling's `multi_shot`, `shot_type`, `multi_prompt`,
`negative_prompt`, `cfg_scale` and `camera_control`, motion control's `character_orientation`, HappyHorse's `audio_setting`. For the
reference video of Kling Omni it takes `refer_type`.

No idempotency key, no way to cancel, no list of models and no balance are documented.
"""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import quote as escape

from genbridge import (
    Call,
    Emulator,
    File,
    Job,
    Media,
    Model,
    Problem,
    Provider,
    Quote,
    Reply,
    Request,
    RequestError,
    Snapshot,
    hookimpl,
)
from genbridge_imini import _combinations, _models, _wire

__all__ = ["check", "describe", "emulate", "normalize", "poll", "quote", "submit", "upload"]


@hookimpl
def describe() -> Provider:
    """Return the static facts."""
    return _models.PROVIDER


@hookimpl
def check(request: Request, model: Model) -> Iterable[Problem]:
    """Name the fields and references that do not go together."""
    return tuple(_combinations.problems(request, model))


@hookimpl
def quote(request: Request, model: Model) -> Quote | None:
    """Say what a request with a reference video costs; the rest is in the price list."""
    return _models.quote(request, model)


@hookimpl
def upload(file: File) -> str:
    """Return a local image or audio file as a `data:` URI.

    Raises `RequestError` for a video, which imini takes from a public URL only.
    """
    if file.kind is Media.VIDEO:
        message = f"a local video cannot be used here; give a public URL instead of {file.name!r}"
        raise RequestError("the request is not valid; nothing was sent", problems=[Problem("references", message)])
    return _wire.data_uri(file)


@hookimpl
def submit(request: Request) -> Call:
    """Describe `POST /v1/{images|videos}/generate`; raises `RequestError` when local files make it too large.

    No idempotency key is documented, so it is never repeated.
    """
    if _combinations.size(request) > _models.BODY_LIMIT:
        problem = Problem("references", _combinations.TOO_LARGE)
        raise RequestError("the request is not valid; nothing was sent", problems=[problem])
    return Call.post(f"/v1/{_wire.KINDS[request.media]}/generate", json=_wire.body(request))


@hookimpl
def poll(job: Job) -> Call:
    """Describe `GET /v1/{images|videos}/tasks/{task_id}`, of the kind that the job was submitted as."""
    return Call.get(f"/v1/{_wire.KINDS[job.media]}/tasks/{escape(job.provider_id or '', safe='')}")


@hookimpl
def normalize(job: Job, reply: Reply) -> Snapshot:
    """Read the reply to a submit or a poll; raises `ServiceError` for imini's error envelope."""
    return _wire.snapshot(job, reply)


@hookimpl
def emulate() -> Emulator:
    """Return a new emulator of the service."""
    from genbridge_imini._emulator import IminiEmulator  # noqa: PLC0415

    return IminiEmulator()
