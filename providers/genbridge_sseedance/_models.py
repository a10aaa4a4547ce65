"""What sseedance offers and charges.

From its "Image Generation" page; its "Videos" and "Music" pages announce endpoints that are not open.
"""

from __future__ import annotations

from genbridge import Capabilities, Choice, Media, Model, Option, PollPolicy, Price, Provider, Text

COMMON_SIZES = {"1:1": (1024, 1024), "4:5": (1024, 1280), "16:9": (1536, 864), "9:16": (864, 1536)}
"""The documented ratios of a 1k image, and their pixels."""

PRESETS = ("1:1", "3:2", "2:3", "4:3", "3:4", "5:4", "4:5", "16:9", "9:16", "2:1", "1:2", "3:1", "1:3", "21:9", "9:21")
"""The documented ratios of a 4k image."""

PIXELS = "[1-9][0-9]{1,3}x[1-9][0-9]{1,3}"
"""A size in pixels. No bounds are documented."""

NO_VIDEOS = "sseedance has announced POST /v1/videos/generations but not opened it; use another backend for videos"

_PAGE = "sseedance.com/en/docs/images, Credits"
_HINT = f"a size in pixels such as 1024x1024, or one of {', '.join(PRESETS)}"

_IMAGES = Capabilities(
    aspect_ratio=Choice(PRESETS),
    size=Text("|".join((PIXELS, *PRESETS)), hint=_HINT),
    resolution=Choice(("1k", "4k"), default="1k"),
    count=Choice((1, 2, 4), default=1),
    options=(Option("provider", Text(r"\S(.*\S)?", hint="a name"), "which image service sseedance uses; its own when left out"),),
)
_PRICES = (
    Price(amount=2, per="image", when={"resolution": "1k"}, source=_PAGE),
    Price(amount=4, per="image", when={"resolution": "4k"}, source=_PAGE),
)


def _image(name: str, title: str) -> Model:
    return Model(id=name, provider_id=f"{name}-all", media=Media.IMAGE, title=title, capabilities=_IMAGES, prices=_PRICES)


def _announced(name: str) -> Model:
    return Model(id=name, provider_id=name, media=Media.VIDEO, unavailable=NO_VIDEOS)


PROVIDER = Provider(
    name="sseedance",
    title="sseedance (Seedance 2.1)",
    base_url="https://sseedance.com",
    key_variable="SSEEDANCE_API_KEY",
    # Its pages say to wait briefly and ask again, without a number: the interval is that of the other services.
    poll=PollPolicy(interval=3.0),
    models=(
        _image("gpt-image-2", "GPT Image 2"),
        _image("gpt-image-1.5", "GPT Image 1.5"),
        _announced("sora-2-pro-text-to-video"),
        _announced("sora-2-pro-image-to-video"),
    ),
)
