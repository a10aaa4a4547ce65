"""The fields of one imini request that exclude or need each other."""

from __future__ import annotations

import genbridge_imini as imini
import pytest

from genbridge import ImageRequest, Reference, Request, VideoRequest
from genbridge.catalogue import choose
from genbridge.validation import check

PROVIDER = imini.describe()
FIRST = Reference("https://files.example/first.png", role="first_frame")
LAST = Reference("https://files.example/last.png", role="last_frame")
IMAGE = Reference("https://files.example/a.png")
CLIP = Reference("https://files.example/a.mp4")
TRACK = Reference("https://files.example/a.mp3")
SHOTS = [{"index": 1, "prompt": "two friends", "duration": "2"}]

NEEDS_FIRST = "references: a last frame needs a first frame; add an image with the role 'first_frame'"
NO_ASSETS = "references: a first or last frame cannot be combined with images as asset; use one or the other"
NO_CLIPS = "references: first and last frames exclude videos and audio; give the image the role 'asset'"
NOT_ALONE = "references: audio cannot be used alone; add an image or a video with the role 'asset'"
NO_PROMPT = "prompt: it is empty; say what you want, or add an image or a video"
NO_SHOTS = "prompt: it is empty; say what you want, or give shots in options.multi_prompt"
NEEDS_MULTI = "it needs the option multi_shot = true"
SHOT = '{"index": 1, "prompt": "…", "duration": "2"}'
SHOT_FORM = f"options.multi_prompt: it is a list like [{SHOT}], where the duration is a string of whole seconds"


def found(request: Request) -> list[str]:
    """Return what does not go together in a request whose fields are each within their limits."""
    model = choose(PROVIDER.models, request, where="imini")
    assert [] == check(request, model)
    return [str(problem) for problem in imini.check(request, model)]


@pytest.mark.parametrize(
    ("references", "expected"),
    [
        ([], []),
        ([FIRST], []),
        ([FIRST, LAST], []),
        ([LAST, FIRST], []),
        ([IMAGE] * 9, []),
        ([IMAGE, CLIP, TRACK], []),
        ([CLIP], []),
        ([CLIP, TRACK], []),
        ([LAST], [NEEDS_FIRST]),
        ([FIRST, IMAGE], [NO_ASSETS]),
        ([FIRST, LAST, IMAGE], [NO_ASSETS]),
        ([LAST, IMAGE], [NEEDS_FIRST, NO_ASSETS]),
        ([FIRST, CLIP], [NO_CLIPS]),
        ([FIRST, TRACK], [NO_CLIPS]),
        ([TRACK], [NOT_ALONE]),
        ([TRACK] * 3, [NOT_ALONE]),
    ],
)
@pytest.mark.parametrize("name", ["seedance-2.0", "seedance-2.0-fast"])
def test_the_references_of_seedance_make_one_input_mode(name: str, references: list[Reference], expected: list[str]) -> None:
    """First frame, first and last frame, or assets with videos and audio: nothing in between."""
    assert expected == found(VideoRequest("a cat", model=name, references=tuple(references)))


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (VideoRequest(" "), [NO_PROMPT]),
        (VideoRequest("", references=(TRACK,)), [NO_PROMPT, NOT_ALONE]),
        (VideoRequest("", references=(IMAGE,)), []),
        (VideoRequest("", references=(CLIP,)), []),
        (VideoRequest("", model="happyhorse-1.0"), [NO_PROMPT]),
        (VideoRequest("", model="kling-v3", references=(FIRST,)), [NO_SHOTS]),
        (VideoRequest("", model="kling-v3-motion-control", references=(IMAGE, CLIP)), []),
    ],
)
def test_a_video_needs_something_to_start_from(request_: Request, expected: list[str]) -> None:
    """A prompt may be empty where images, videos or shots say what is wanted."""
    assert expected == found(request_)


@pytest.mark.parametrize(
    ("prompt", "options", "expected"),
    [
        ("", {"multi_shot": True, "shot_type": "customize", "multi_prompt": SHOTS}, []),
        ("a cat", {"multi_shot": True, "shot_type": "intelligence"}, []),
        ("a cat", {"multi_shot": False}, []),
        ("", {"multi_shot": True, "shot_type": "intelligence"}, [NO_SHOTS]),
        ("a cat", {"shot_type": "customize"}, [f"options.shot_type: {NEEDS_MULTI}"]),
        ("a cat", {"multi_shot": False, "multi_prompt": SHOTS}, [f"options.multi_prompt: {NEEDS_MULTI}"]),
        (
            "a cat",
            {"multi_shot": True, "shot_type": "customize"},
            ["options.multi_prompt: shot_type 'customize' needs the list of shots here"],
        ),
        (
            "a cat",
            {"multi_shot": True, "shot_type": "intelligence", "multi_prompt": SHOTS},
            ["options.multi_prompt: shot_type 'intelligence' makes the shots from the prompt; leave it out"],
        ),
    ],
)
@pytest.mark.parametrize("name", ["kling-v3", "kling-v3-omni"])
def test_the_shots_of_kling_go_with_their_type(name: str, prompt: str, options: dict[str, object], expected: list[str]) -> None:
    """Shots need the switch that turns them on, and the type that fits."""
    assert expected == found(VideoRequest(prompt, model=name, options=options))


@pytest.mark.parametrize(
    "shots",
    [
        "a cat",
        [],
        ["a cat"],
        [{"index": "1", "prompt": "a cat", "duration": "2"}],
        [{"index": 1, "prompt": None, "duration": "2"}],
        [{"index": 1, "prompt": "a cat", "duration": 2}],
        [{"index": 1, "prompt": "a cat", "duration": "two"}],
        [*SHOTS, {}],
    ],
)
def test_shots_have_the_documented_form(shots: object) -> None:
    """Each has an index, a prompt and a duration, which is a string."""
    assert [SHOT_FORM] == found(VideoRequest("", model="kling-v3", options={"multi_shot": True, "multi_prompt": shots}))


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (VideoRequest("a cat", model="kling-v3", references=(LAST,)), [NEEDS_FIRST]),
        (VideoRequest("a cat", model="kling-v3-omni", references=(FIRST, IMAGE)), [NO_ASSETS]),
        (VideoRequest("a cat", model="kling-v3-omni", references=(IMAGE, CLIP), options={"refer_type": "base"}), []),
        (VideoRequest("a cat", model="kling-v3-omni", references=(FIRST, CLIP), options={"refer_type": "feature"}), []),
        (
            VideoRequest("a cat", model="kling-v3-omni", references=(FIRST, CLIP), duration=5, options={"refer_type": "base"}),
            [
                "references: refer_type 'base' edits the video and excludes first and last frames; leave them out",
                "duration: refer_type 'base' edits the video, which keeps its length; leave it out",
            ],
        ),
        (
            VideoRequest("a cat", model="kling-v3-omni", options={"refer_type": "feature"}),
            ["options.refer_type: it says what a reference video is for, and there is none; leave it out or add a video"],
        ),
    ],
)
def test_the_references_of_kling_go_together(request_: Request, expected: list[str]) -> None:
    """Frames are as with Seedance; a video that is edited excludes them and keeps its length."""
    assert expected == found(request_)


@pytest.mark.parametrize(
    ("orientation", "seconds", "expected"),
    [
        ("image", 10, []),
        ("image", None, []),
        ("video", 30, []),
        ("image", 11, ["references[1].duration: 11 s is too long, the most with character_orientation 'image' is 10 s"]),
    ],
)
def test_the_clip_of_motion_control_is_shorter_with_the_orientation_of_the_image(
    orientation: str, seconds: float | None, expected: list[str]
) -> None:
    """30 s with the one, 10 s with the other."""
    references = [IMAGE, Reference("https://files.example/a.mp4", duration=seconds)]
    options = {"character_orientation": orientation}
    assert expected == found(VideoRequest("", model="kling-v3-motion-control", references=tuple(references), options=options))


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (VideoRequest("a cat", model="happyhorse-1.0", references=(FIRST,)), []),
        (VideoRequest("a cat", model="happyhorse-1.0", references=(IMAGE,) * 9, aspect_ratio="4:3", duration=3), []),
        (VideoRequest("a cat", model="happyhorse-1.0", references=(CLIP, *(IMAGE,) * 5)), []),
        (VideoRequest("a cat", model="happyhorse-1.0", references=(FIRST, IMAGE)), [NO_ASSETS]),
        (
            VideoRequest("a cat", model="happyhorse-1.0", references=(FIRST, CLIP)),
            ["references: a first frame and a video to edit exclude each other; leave one of them out"],
        ),
        (
            VideoRequest("a cat", model="happyhorse-1.0", references=(CLIP, *(IMAGE,) * 6)),
            ["references: beside a video to edit there may be at most 5 images"],
        ),
        (
            VideoRequest("a cat", model="happyhorse-1.0", references=(CLIP,), duration=5, aspect_ratio="1:1"),
            [
                "duration: a video that is edited keeps its length; leave it out",
                "aspect_ratio: the result has the ratio of the first frame or of the video to edit; leave it out",
            ],
        ),
        (
            VideoRequest("a cat", model="happyhorse-1.0", references=(FIRST,), aspect_ratio="1:1"),
            ["aspect_ratio: the result has the ratio of the first frame or of the video to edit; leave it out"],
        ),
    ],
)
def test_the_references_of_happyhorse_make_one_input_mode(request_: Request, expected: list[str]) -> None:
    """From text, from a first frame, from assets, or the edit of one video."""
    assert expected == found(request_)


def test_the_fields_of_an_image_all_go_together() -> None:
    """No page names images that exclude each other."""
    references = (IMAGE, Reference("https://files.example/a.png", role="style"))
    assert [] == found(ImageRequest("a cat", references=references, resolution="4k"))
