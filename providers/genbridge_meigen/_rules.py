"""Which fields of a request go together: what a model's capabilities cannot say one field at a time."""

from __future__ import annotations

from collections.abc import Iterator

from genbridge import Media, Model, Problem, ReferenceRole, Request

_FRAMES = frozenset({ReferenceRole.FIRST_FRAME, ReferenceRole.LAST_FRAME})
_SMALL_TIERS = frozenset({"mini", "fast"})
_LARGE = frozenset({"1080p", "4k"})


def problems(request: Request, model: Model) -> Iterator[Problem]:
    """Name the fields that exclude each other, or need each other."""
    yield from _adaptive(request)
    yield from _frames(request)
    yield from _style(request)
    # These are the tiers as they were published; the service knows better when its own list was read.
    if model.provider_id == "seedance-2-0" and not model.live:
        yield from _seedance_tier(request)


def _roles(request: Request) -> set[ReferenceRole]:
    return {reference.role for reference in request.references if reference.kind is not Media.AUDIO}


def _adaptive(request: Request) -> Iterator[Problem]:
    if request.aspect_ratio == "adaptive" and not _roles(request):
        yield Problem("aspect_ratio", "'adaptive' takes the ratio of a reference; add one or give a ratio, such as 16:9")


def _frames(request: Request) -> Iterator[Problem]:
    roles = _roles(request)
    if ReferenceRole.LAST_FRAME in roles and ReferenceRole.FIRST_FRAME not in roles:
        yield Problem("references", "a last_frame needs a first_frame, as the service tells them apart by their order; add one")
    if roles & _FRAMES and ReferenceRole.ASSET in roles:
        yield Problem("references", "the service cannot tell frames and assets apart in its list of images; use one or the other")
    if roles & _FRAMES and ReferenceRole.EXTEND in roles:
        yield Problem("references", "a continuation begins where its video ends; leave the first_frame and the last_frame out")


def _style(request: Request) -> Iterator[Problem]:
    roles, kind = _roles(request), request.options.get("referenceType")
    if {ReferenceRole.STYLE, ReferenceRole.ASSET} <= roles:
        yield Problem("references", "a request's images are all for their style or all for their content; leave one sort out")
    if kind is not None and not roles:
        yield Problem("options.referenceType", "it says how a reference image is meant, and there is none; add one or leave it out")
    if kind == "content" and ReferenceRole.STYLE in roles:
        yield Problem("options.referenceType", "'content' contradicts a reference with the role style; leave it out")


def _seedance_tier(request: Request) -> Iterator[Problem]:
    tier = request.options.get("tier")
    if tier in _SMALL_TIERS and request.resolution in _LARGE:
        yield Problem("resolution", f"the tier {tier!r} makes 480p and 720p, not {request.resolution}; take the tier 'pro'")
    if tier == "mini" and ReferenceRole.EXTEND in _roles(request):
        yield Problem("options.tier", "the tier 'mini' takes no video to continue; take 'fast' or 'pro'")
