"""Fields of one request that exclude or need each other, by model.

"The input mode is determined by the combination", says the Seedance page; the rules of the other models are from their own pages.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from genbridge import Media, Model, Problem, Reference, ReferenceRole, Request, VideoRequest
from genbridge_imini._models import BODY_LIMIT, HAPPYHORSE, KLING, MOTION_CONTROL, OMNI, SEEDANCE, SEEDANCE_FAST

_FRAMES = (ReferenceRole.FIRST_FRAME, ReferenceRole.LAST_FRAME)
_EDIT_IMAGES = 5
"""The most images beside a video that HappyHorse edits."""
_IMAGE_ORIENTED_SECONDS = 10
"""The longest clip for motion control with the character's direction from the image."""


def problems(request: Request, model: Model) -> Iterator[Problem]:
    """Name what does not go together in a request that is within the model's capabilities."""
    if size(request) > BODY_LIMIT:
        yield Problem("references", TOO_LARGE)
    rule = _RULES.get(model.provider_id)
    if rule is not None and isinstance(request, VideoRequest):
        yield from rule(request)


TOO_LARGE = "together they make the request larger than 64 MB; use smaller files, or public URLs"


def size(request: Request) -> int:
    """Return about how many bytes a request has, as far as its references are text already."""
    sources = (reference.source for reference in request.references)
    return len(request.prompt.encode(errors="replace")) + sum(len(source) for source in sources if isinstance(source, str))


def _seedance(request: VideoRequest) -> Iterator[Problem]:
    yield from _prompt(request)
    yield from _frames(request)
    clips, tracks = _of(request, Media.VIDEO), _of(request, Media.AUDIO)
    if _frame_images(request) and (clips or tracks):
        yield Problem("references", "first and last frames exclude videos and audio; give the image the role 'asset'")
    if tracks and len(tracks) == len(request.references):
        yield Problem("references", "audio cannot be used alone; add an image or a video with the role 'asset'")


def _kling(request: VideoRequest) -> Iterator[Problem]:
    yield from _frames(request)
    yield from _shots(request)


def _omni(request: VideoRequest) -> Iterator[Problem]:
    yield from _kling(request)
    kind, clips = request.options.get("refer_type"), _of(request, Media.VIDEO)
    if kind is not None and not clips:
        yield Problem("options.refer_type", "it says what a reference video is for, and there is none; leave it out or add a video")
    if kind != "base":
        return
    if _frame_images(request):
        yield Problem("references", "refer_type 'base' edits the video and excludes first and last frames; leave them out")
    if request.duration is not None:
        yield Problem("duration", "refer_type 'base' edits the video, which keeps its length; leave it out")


def _motion_control(request: VideoRequest) -> Iterator[Problem]:
    if request.options.get("character_orientation") != "image":
        return
    for index, reference in enumerate(request.references):
        if reference.duration is not None and reference.duration > _IMAGE_ORIENTED_SECONDS:
            most = f"the most with character_orientation 'image' is {_IMAGE_ORIENTED_SECONDS} s"
            yield Problem(f"references[{index}].duration", f"{reference.duration:g} s is too long, {most}")


def _happyhorse(request: VideoRequest) -> Iterator[Problem]:
    yield from _prompt(request)
    yield from _frames(request)
    frames, clips = _frame_images(request), _of(request, Media.VIDEO)
    if frames and clips:
        yield Problem("references", "a first frame and a video to edit exclude each other; leave one of them out")
    if clips and len(request.references) - len(clips) > _EDIT_IMAGES:
        yield Problem("references", f"beside a video to edit there may be at most {_EDIT_IMAGES} images")
    if clips and request.duration is not None:
        yield Problem("duration", "a video that is edited keeps its length; leave it out")
    if (clips or frames) and request.aspect_ratio is not None:
        yield Problem("aspect_ratio", "the result has the ratio of the first frame or of the video to edit; leave it out")


def _prompt(request: VideoRequest) -> Iterator[Problem]:
    if not request.prompt.strip() and not (_of(request, Media.IMAGE) or _of(request, Media.VIDEO)):
        yield Problem("prompt", "it is empty; say what you want, or add an image or a video")


def _frames(request: VideoRequest) -> Iterator[Problem]:
    frames = _frame_images(request)
    roles = {reference.role for reference in frames}
    if roles == {ReferenceRole.LAST_FRAME}:
        yield Problem("references", "a last frame needs a first frame; add an image with the role 'first_frame'")
    if frames and len(frames) < len(_of(request, Media.IMAGE)):
        yield Problem("references", "a first or last frame cannot be combined with images as asset; use one or the other")


def _shots(request: VideoRequest) -> Iterator[Problem]:
    options = request.options
    if not options.get("multi_shot"):
        for name in ("shot_type", "multi_prompt"):
            if name in options:
                yield Problem(f"options.{name}", "it needs the option multi_shot = true")
    shots = options.get("multi_prompt")
    if shots is not None:
        yield from _shot_list(shots)
        if options.get("shot_type") == "intelligence":
            yield Problem("options.multi_prompt", "shot_type 'intelligence' makes the shots from the prompt; leave it out")
    elif options.get("multi_shot") and options.get("shot_type") == "customize":
        yield Problem("options.multi_prompt", "shot_type 'customize' needs the list of shots here")
    if shots is None and not request.prompt.strip():
        yield Problem("prompt", "it is empty; say what you want, or give shots in options.multi_prompt")


def _shot_list(shots: object) -> Iterator[Problem]:
    if not isinstance(shots, list | tuple) or not shots or not all(_is_shot(shot) for shot in shots):
        form = '[{"index": 1, "prompt": "…", "duration": "2"}]'
        yield Problem("options.multi_prompt", f"it is a list like {form}, where the duration is a string of whole seconds")


def _is_shot(shot: Any) -> bool:
    if not isinstance(shot, Mapping):
        return False
    index, text, seconds = (shot.get(name) for name in ("index", "prompt", "duration"))
    return isinstance(index, int) and isinstance(text, str) and isinstance(seconds, str) and seconds.isdigit()


def _of(request: VideoRequest, kind: Media) -> list[Reference]:
    return [reference for reference in request.references if reference.kind is kind]


def _frame_images(request: VideoRequest) -> list[Reference]:
    return [reference for reference in request.references if reference.role in _FRAMES]


_RULES: dict[str, Callable[[VideoRequest], Iterator[Problem]]] = {
    SEEDANCE: _seedance,
    SEEDANCE_FAST: _seedance,
    KLING: _kling,
    OMNI: _omni,
    MOTION_CONTROL: _motion_control,
    HAPPYHORSE: _happyhorse,
}
