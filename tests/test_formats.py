"""First bytes and what they say of a file."""

from __future__ import annotations

from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genbridge import draw_png, draw_video
from genbridge.formats import HEAD, SUFFIXES, check_format, content_type, ends_early, recognise, suffix_of
from genbridge.types import Media

HEADS = {
    ".png": (Media.IMAGE, b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"),
    ".jpg": (Media.IMAGE, b"\xff\xd8\xff\xe0\x00\x10JFIF\x00"),
    ".gif": (Media.IMAGE, b"GIF89a\x01\x00\x01\x00"),
    ".webp": (Media.IMAGE, b"RIFF\x24\x00\x00\x00WEBPVP8 "),
    ".avif": (Media.IMAGE, b"\x00\x00\x00\x1cftypavif\x00\x00\x00\x00mif1avifmiaf"),
    ".heic": (Media.IMAGE, b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic"),
    ".bmp": (Media.IMAGE, b"BM\x36\x00\x0c\x00\x00\x00\x00\x00\x36\x00\x00\x00"),
    ".tiff": (Media.IMAGE, b"II*\x00\x08\x00\x00\x00"),
    ".mp4": (Media.VIDEO, b"\x00\x00\x00\x20ftypisom\x00\x00\x02\x00isomiso2avc1mp41"),
    ".mov": (Media.VIDEO, b"\x00\x00\x00\x14ftypqt  \x00\x00\x00\x00qt  "),
    ".webm": (Media.VIDEO, b"\x1aE\xdf\xa3\x9fB\x86\x81\x01B\xf7\x81\x01B\xf2\x81\x04B\xf3\x81\x08B\x82\x84webm"),
    ".mkv": (Media.VIDEO, b"\x1aE\xdf\xa3\xa3B\x86\x81\x01B\xf7\x81\x01B\xf2\x81\x04B\xf3\x81\x08B\x82\x88matroska"),
    ".mp3": (Media.AUDIO, b"ID3\x04\x00\x00\x00\x00\x00\x23"),
    ".aac": (Media.AUDIO, b"\xff\xf1\x50\x80\x02\x1f\xfc"),
    ".wav": (Media.AUDIO, b"RIFF\x24\x00\x00\x00WAVEfmt "),
    ".ogg": (Media.AUDIO, b"OggS\x00\x02\x00\x00"),
    ".flac": (Media.AUDIO, b"fLaC\x00\x00\x00\x22"),
    ".m4a": (Media.AUDIO, b"\x00\x00\x00\x18ftypM4A \x00\x00\x00\x00isomiso2"),
}
OTHERS = {
    ".gif": (Media.IMAGE, b"GIF87a\x01\x00\x01\x00"),
    ".tiff": (Media.IMAGE, b"MM\x00*\x00\x00\x00\x08"),
    ".avif": (Media.IMAGE, b"\x00\x00\x00\x1cftypmif1\x00\x00\x00\x00mif1avifmiaf"),
    ".mov": (Media.VIDEO, b"\x00\x00\x00\x08wide\x00\x00\x10\x00mdat"),
    ".mp3": (Media.AUDIO, b"\xff\xfb\x90\x64\x00\x00"),
    ".m4a": (Media.AUDIO, b"\x00\x00\x00\x20ftypisom\x00\x00\x02\x00isomiso2mp41"),
    ".webm": (Media.AUDIO, b"\x1aE\xdf\xa3\x9fB\x82\x84webm"),
}


@pytest.mark.parametrize(("suffix", "media", "head"), [(name, *head) for heads in (HEADS, OTHERS) for name, head in heads.items()])
def test_a_format_is_known_by_its_first_bytes(suffix: str, media: Media, head: bytes) -> None:
    """Each format passes for its medium and gives the suffix."""
    assert (None, suffix) == (check_format(head, media), suffix_of(head, media))


@pytest.mark.parametrize(("suffix", "media", "head"), [(name, *head) for name, head in HEADS.items()])
def test_a_format_does_not_pass_for_another_medium(suffix: str, media: Media, head: bytes) -> None:
    """An image is no video, a video no image, and the message says what it is."""
    other = Media.VIDEO if media is Media.IMAGE else Media.IMAGE
    assert f"its first bytes are those of a {suffix} file" in str(check_format(head, other))


def test_every_suffix_that_can_be_given_is_looked_for() -> None:
    """A file saved before is found again, whatever its format."""
    assert set(HEADS) == set(SUFFIXES)


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (b"", "it was to be a video, and is empty"),
        (b" \n ", "is empty"),
        (b"\xef\xbb\xbf\n<!DOCTYPE HTML>", "is a web page"),
        (b"<HTML><head>", "is a web page"),
        (b"<?xml version='1.0'?><Error>", "is text, such as an error message"),
        (b'[{"error": 1}]', "is text, such as an error message"),
        (b"RIFF\x00\x00\x00\x00AVI ", "is of no known format (it begins with b'RIFF"),
        (b"\x1aE\xdf\xa3\x9fB\x82\x84none", "is of no known format"),
        (b"BMW is a maker of cars", "is of no known format (it begins with b'BMW is a')"),
        (b"\xff", "is of no known format"),
        (b"\xff\x00", "is of no known format"),
    ],
)
def test_what_is_no_media_file_is_named(head: bytes, words: str) -> None:
    """The message says what came instead."""
    assert words in str(check_format(head, Media.VIDEO))


def test_the_media_are_called_by_their_names() -> None:
    """With the right article."""
    expected = [
        "it was to be an image, and is empty",
        "it was to be a video, and is empty",
        "it was to be an audio track, and is empty",
    ]
    assert expected == [check_format(b"", media) for media in (Media.IMAGE, Media.VIDEO, Media.AUDIO)]


def test_a_suffix_for_no_known_format_is_a_mistake_of_ours() -> None:
    """The check comes first."""
    with pytest.raises(ValueError, match="no known format"):
        suffix_of(b"nothing", Media.IMAGE)


@given(head=st.binary(max_size=HEAD) | st.tuples(st.sampled_from([head for _, head in HEADS.values()]), st.binary()).map(b"".join))
def test_any_bytes_are_a_format_for_their_media_or_a_problem(head: bytes) -> None:
    """A known format passes for its own media and no others; what is not known passes for none."""
    kind = recognise(head)
    expected = kind.media if kind else frozenset()
    assert expected == {media for media in Media if check_format(head, media) is None}


@pytest.mark.parametrize(("suffix", "media", "head"), [(name, *head) for name, head in HEADS.items()])
def test_every_format_has_a_content_type_of_its_medium(suffix: str, media: Media, head: bytes) -> None:
    """It is by the bytes alone, as what `mimetypes` knows differs from machine to machine."""
    assert media == content_type(head, media).partition("/")[0]


@pytest.mark.parametrize(
    ("head", "media", "expected"),
    [
        (HEADS[".webp"][1], Media.IMAGE, "image/webp"),
        (HEADS[".mp4"][1], Media.VIDEO, "video/mp4"),
        (HEADS[".mp4"][1], Media.AUDIO, "audio/mp4"),
        (b"what is this?", Media.IMAGE, "application/octet-stream"),
    ],
)
def test_a_container_has_the_content_type_of_what_it_holds(head: bytes, media: Media, expected: str) -> None:
    """An MP4 may be a sound track."""
    assert expected == content_type(head, media)


# Whether a file is all there.

PNG = draw_png("a fox", 16, 16)
MP4 = draw_video("a fox", 32, 32, 0.2)
WEBP = b"RIFF" + (4 + 40).to_bytes(4, "little") + b"WEBPVP8 " + bytes(36)


@pytest.mark.parametrize("body", [PNG, MP4, WEBP, PNG + b"a remark behind the picture"])
def test_a_file_that_is_all_there_does_not_end_early(body: bytes) -> None:
    """Whatever stands behind its end."""
    assert not ends_early(BytesIO(body))


@pytest.mark.parametrize("body", [PNG, WEBP])
def test_a_picture_ends_early_wherever_it_is_cut(body: bytes) -> None:
    """From where its kind is known."""
    assert {True} == {ends_early(BytesIO(body[:size])) for size in range(16, len(body))}


def test_a_video_ends_early_where_a_box_is_cut() -> None:
    """A cut between two boxes cannot be told from the end."""
    early = [size for size in range(16, len(MP4)) if ends_early(BytesIO(MP4[:size]))]
    assert len(early) > 0.99 * (len(MP4) - 16)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"RIFF\xff\xff\xff\xffWAVEfmt ",
        b"\xff\xd8\xff\xe0\x00\x10JFIF\x00",
        b"\x89PNG\r\n\x1a\n" + bytes(64),
        PNG[:33] + bytes(64),
        MP4[:32] + bytes(64),
        PNG[:33] + b"\0\0\0\0tEXt\0\0\0\0" * 100_001,
        MP4[:4] + b"ftyp" + b"\0\0\0\x08free" * 100_010,
    ],
)
def test_what_cannot_be_read_to_its_end_is_believed(body: bytes) -> None:
    """A format without lengths, nonsense in the place of one, and far too many pieces."""
    assert not ends_early(BytesIO(body))


@given(st.sampled_from([PNG[:33], MP4[:16], WEBP[:8], b""]), st.binary(max_size=300))
def test_any_bytes_end_early_or_do_not(head: bytes, rest: bytes) -> None:
    """Nothing raises."""
    assert ends_early(BytesIO(head + rest)) in {True, False}
