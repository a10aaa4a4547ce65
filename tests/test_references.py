"""Reference files are looked at before anything is spent."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genbridge import Capabilities, Media, Model, Reference, ReferenceRole, ReferenceRule, RequestError, VideoRequest
from genbridge.references import problems, read

PNG = b"\x89PNG\r\n\x1a\n" + bytes(8)
MP4 = b"\x00\x00\x00\x20ftypisom\x00\x00\x02\x00isomiso2avc1mp41"
M4A = b"\x00\x00\x00\x18ftypM4A \x00\x00\x00\x00isomiso2"
WAV = b"RIFF\x24\x00\x00\x00WAVEfmt "
PUBLIC = "https://api.example.com"
NEAR = "http://127.0.0.1:8000/base"

MODEL = Model(
    id="clip",
    provider_id="clip-1",
    media=Media.VIDEO,
    capabilities=Capabilities(
        references=(
            ReferenceRule(role=ReferenceRole.FIRST_FRAME, most_bytes=64, schemes=("https", "data")),
            ReferenceRule(role=ReferenceRole.EXTEND, kind=Media.VIDEO),
            ReferenceRule(role=ReferenceRole.ASSET, kind=Media.AUDIO),
        )
    ),
)


def said(*references: object, base_url: str = PUBLIC) -> list[str]:
    """Return what is wrong with references, in words."""
    request = attrs.evolve(VideoRequest("a fox"), references=references)
    return [str(problem) for problem in problems(request, MODEL, base_url=base_url)]


def frame(source: Any) -> Reference:
    """Return a first frame."""
    return Reference(source, role=ReferenceRole.FIRST_FRAME, kind=Media.IMAGE)


def written(folder: Path, data: bytes, name: str = "fox.png") -> Path:
    """Write a file and return its path."""
    path = folder / name
    path.write_bytes(data)
    return path


# Local files.


def test_a_local_file_of_the_right_kind_is_fine(tmp_path: Path) -> None:
    """An image as a frame, a video to continue, a sound track, by their first bytes."""
    references = [
        frame(written(tmp_path, PNG)),
        Reference(written(tmp_path, MP4, "a.mp4"), role="extend"),
        Reference(written(tmp_path, WAV, "a.wav")),
        Reference(written(tmp_path, M4A, "a.m4a")),
        Reference(written(tmp_path, MP4, "b.m4a")),
    ]
    assert [] == said(*references)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    """With its path, and its place in the request."""
    path = tmp_path / "gone.png"
    assert [f"references[1]: {str(path)!r} cannot be read: No such file or directory"] == said(
        frame(written(tmp_path, PNG)), frame(path)
    )


def test_a_path_that_no_system_takes_is_named() -> None:
    """A zero byte in a path is no reason to crash."""
    (problem,) = said(frame(Path("a\0b")))
    assert problem.startswith("references[0]: 'a\\x00b' cannot be read: ")


def test_a_directory_is_not_a_file(tmp_path: Path) -> None:
    """It exists, and still cannot be sent."""
    assert [f"references[0]: {str(tmp_path)!r} is not a file"] == said(frame(tmp_path))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    """Opening one would not return until somebody writes into it."""
    os.mkfifo(tmp_path / "pipe.png")
    assert [f"references[0]: {str(tmp_path / 'pipe.png')!r} is not a file"] == said(frame(tmp_path / "pipe.png"))


def test_an_empty_file_is_named(tmp_path: Path) -> None:
    """A service would refuse it, or charge for nothing."""
    path = written(tmp_path, b"")
    assert [f"references[0]: {str(path)!r} is empty"] == said(frame(path))


def test_a_file_that_is_too_large_is_named_with_both_sizes(tmp_path: Path) -> None:
    """The file's, and the most that the model takes."""
    path = written(tmp_path, PNG + bytes(1024**2))
    assert [f"references[0]: {str(path)!r} has 1.0 MB, the most is 6.10352e-05 MB"] == said(frame(path))
    assert [] == said(frame(written(tmp_path, PNG.ljust(64))))


@pytest.mark.parametrize(
    ("data", "said_of_it"),
    [
        (MP4, "it was to be an image, and its first bytes are those of a .mp4 file"),
        (WAV, "it was to be an image, and its first bytes are those of a .wav file"),
        (b"<!doctype html><title>404", "it was to be an image, and is a web page, which may come from a proxy or a login page"),
        (b"hello", "it was to be an image, and is of no known format"),
    ],
)
def test_a_file_of_another_kind_is_named_whatever_its_name(tmp_path: Path, data: bytes, said_of_it: str) -> None:
    """The first bytes decide, not the ending."""
    path = written(tmp_path, data)
    (problem,) = said(frame(path))
    assert problem.startswith(f"references[0]: {str(path)!r} is not of the right kind: {said_of_it}")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="the superuser may read everything")
def test_a_file_that_may_not_be_read_is_named(tmp_path: Path) -> None:
    """Before anything is sent."""
    path = written(tmp_path, PNG)
    path.chmod(0)
    assert [f"references[0]: {str(path)!r} cannot be read: Permission denied"] == said(frame(path))


# Web addresses.


@pytest.mark.parametrize(
    "url",
    ["https://example.com/fox.png?sig=1", "HTTPS://example.com./fox.png", "https://user@example.com/a", "data:image/png;base64,AA"],
)
def test_a_public_url_is_fine(url: str) -> None:
    """So is a `data:` URI, which needs no host."""
    assert [] == said(frame(url))


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://localhost/a.png", "localhost"),
        ("http://127.0.0.1:8000/a.png", "127.0.0.1"),
        ("https://10.0.0.1/a.png", "10.0.0.1"),
        ("https://192.168.0.1./a.png", "192.168.0.1."),
        ("http://169.254.169.254/latest/meta-data", "169.254.169.254"),
        ("https://metadata.google.internal/", "metadata.google.internal"),
        ("https://[::1]/a.png", "::1"),
        ("https://[::ffff:10.0.0.1]/a.png", "::ffff:10.0.0.1"),
        ("https://[fd00::1]/a.png", "fd00::1"),
        ("http://2130706433/", "2130706433"),
        ("http://0x7f.1/", "0x7f.1"),
        ("http://127.1/", "127.1"),
        ("https://example.com@10.0.0.1/a.png", "10.0.0.1"),
        ("https://example.com:80@[::1]/a.png", "::1"),
        ("https://nas/a.png", "nas"),
        ("https:///a.png", "https:///a.png"),
    ],
)
def test_a_host_that_the_service_cannot_reach_is_named(url: str, host: str) -> None:
    """It would fail after it was paid for."""
    expected = f"the service cannot reach {host!r}, which is not a public address; give a public URL, or a local file as a Path"
    assert [f"references[0]: {expected}"] == said(frame(url))


@pytest.mark.parametrize(
    "url",
    [
        "https://[::1",
        "https://example.com:99999/",
        "https://example.com:0/",
        "https://10.0.0.1\\@example.com/",
        "https://exa mple.com/",
        "https://example.com/\n",
        "https://exa\tmple.com/",
        "https://%31%30.0.0.1/",
    ],
)
def test_a_url_that_is_read_in_different_ways_is_refused(url: str) -> None:
    """What is checked is to be what is fetched."""
    assert [f"references[0]: {url!r} is not a usable URL"] == said(frame(url))


def test_a_backend_on_this_machine_may_be_given_what_it_serves() -> None:
    """As the sandbox serves its results."""
    assert [] == said(frame("http://127.0.0.1:8000/a.png"), base_url=NEAR)


@pytest.mark.parametrize("url", ["http://127.0.0.1:8001/a.png", "http://localhost:8000/a.png", "https://10.0.0.1/a.png"])
def test_other_private_addresses_stay_refused_to_a_backend_on_this_machine(url: str) -> None:
    """It may be a proxy of the service."""
    assert 1 == len(said(frame(url), base_url=NEAR))


# What the catalogue's check says already.


@pytest.mark.parametrize(
    "reference",
    [
        "https://10.0.0.1/a.png",
        None,
        frame("photo.jpg"),
        frame("ftp://10.0.0.1/a.png"),
        frame(b"https://10.0.0.1/"),
        frame(None),
        Reference("https://10.0.0.1/a.png", role="style"),
        Reference("https://10.0.0.1/a.png", role=["style"], kind={}),
    ],
)
def test_what_is_wrong_in_itself_is_not_said_twice(reference: object) -> None:
    """A source that is neither URL nor path, and a role that the model does not take."""
    assert [] == said(reference)


@pytest.mark.parametrize("references", [None, 5, "https://10.0.0.1/a.png", {}])
def test_references_that_are_no_list_are_left_to_the_check(references: Any) -> None:
    """It says so; nothing crashes here."""
    request = attrs.evolve(VideoRequest("a fox"), references=references)
    assert [] == list(problems(request, MODEL, base_url=PUBLIC))


@given(st.text() | st.builds("https://{}".format, st.text()) | st.none() | st.integers() | st.builds(Path, st.text(max_size=5)))
def test_any_source_is_judged_and_nothing_crashes(source: Any) -> None:
    """Users pass what they have."""
    assert all(text.startswith("references[0]: ") for text in said(frame(source)))


# Reading.


@pytest.mark.parametrize(
    ("data", "kind", "expected"),
    [(PNG, Media.IMAGE, "image/png"), (MP4, Media.VIDEO, "video/mp4"), (WAV, Media.AUDIO, "audio/wav")],
)
def test_a_file_is_read_for_the_upload(tmp_path: Path, data: bytes, kind: Media, expected: str) -> None:
    """With its name, its bytes, and the content type of what it is, not of what it is called."""
    file = read(Reference(written(tmp_path, data, "fox.jpg"), kind=kind), model="clip-1")
    assert ("fox.jpg", kind, expected, data, "clip-1") == (file.name, file.kind, file.content_type, file.data, file.model)


def test_a_file_that_has_gone_since_the_check_is_an_error_before_anything_is_sent(tmp_path: Path) -> None:
    """The request was valid a moment ago."""
    path = written(tmp_path, PNG)
    assert [] == said(frame(path))
    path.unlink()
    with pytest.raises(RequestError) as caught:
        read(frame(path), model="clip-1")
    assert f"the reference {str(path)!r} cannot be read: No such file or directory; nothing was sent" == str(caught.value)


def test_a_file_that_has_been_emptied_since_the_check_is_an_error(tmp_path: Path) -> None:
    """As when another program is writing it."""
    with pytest.raises(RequestError, match=r"is empty; nothing was sent$"):
        read(frame(written(tmp_path, b"")), model="clip-1")
