"""What a file is, by its first bytes, and whether it has an end, by the lengths that are in it."""

from __future__ import annotations

import os
from typing import BinaryIO

import attrs

from genbridge.types import Media

HEAD = 64
"""How many first bytes are looked at."""

_ANY = frozenset({Media.VIDEO, Media.AUDIO})
_IMAGE = frozenset({Media.IMAGE})
_VIDEO = frozenset({Media.VIDEO})
_AUDIO = frozenset({Media.AUDIO})


@attrs.frozen
class Format:
    """A kind of file: its suffix, and the media it can be."""

    suffix: str
    media: frozenset[Media]


_PNG = Format(".png", _IMAGE)
_AVIF = Format(".avif", _IMAGE)
_HEIC = Format(".heic", _IMAGE)
_MP4 = Format(".mp4", _ANY)
_MOV = Format(".mov", _VIDEO)
_M4A = Format(".m4a", _AUDIO)
_WEBM = Format(".webm", _ANY)
_MKV = Format(".mkv", _ANY)
_MP3 = Format(".mp3", _AUDIO)
_AAC = Format(".aac", _AUDIO)

_MAGIC = {
    b"\x89PNG\r\n\x1a\n": _PNG,
    b"\xff\xd8\xff": Format(".jpg", _IMAGE),
    b"GIF87a": Format(".gif", _IMAGE),
    b"GIF89a": Format(".gif", _IMAGE),
    b"II*\x00": Format(".tiff", _IMAGE),
    b"MM\x00*": Format(".tiff", _IMAGE),
    b"OggS": Format(".ogg", _AUDIO),
    b"fLaC": Format(".flac", _AUDIO),
    b"ID3": _MP3,
}
_RIFF = {b"WEBP": Format(".webp", _IMAGE), b"WAVE": Format(".wav", _AUDIO)}
_BMP = Format(".bmp", _IMAGE)
_QUICKTIME_ATOMS = frozenset({b"moov", b"mdat", b"wide", b"free", b"skip"})
_BRANDS = {b"avif": _AVIF, b"avis": _AVIF, b"heic": _HEIC, b"heix": _HEIC, b"qt  ": _MOV, b"M4A ": _M4A, b"M4B ": _M4A}

SUFFIXES = tuple(
    dict.fromkeys(kind.suffix for kind in (*_MAGIC.values(), *_RIFF.values(), *_BRANDS.values(), _BMP, _MP4, _WEBM, _MKV, _AAC))
)
"""Every suffix that a saved file can have."""


def recognise(head: bytes) -> Format | None:
    """Return the format that the first bytes of a file are of, or `None` when they are of none that is known."""
    for magic, kind in _MAGIC.items():
        if head.startswith(magic):
            return kind
    return _container(head) or _headerless(head)


def _container(head: bytes) -> Format | None:
    if head[:4] == b"RIFF":
        return _RIFF.get(head[8:12])
    if head[:4] == b"\x1aE\xdf\xa3":
        return _WEBM if b"webm" in head else _MKV if b"matroska" in head else None
    if head[4:8] == b"ftyp":
        return _iso(head)
    return _MOV if head[4:8] in _QUICKTIME_ATOMS else None


def _iso(head: bytes) -> Format:
    box = head[: int.from_bytes(head[:4], "big")]
    compatible = [box[start : start + 4] for start in range(16, len(box), 4)]
    return next((_BRANDS[brand] for brand in (head[8:12], *compatible) if brand in _BRANDS), _MP4)


def _headerless(head: bytes) -> Format | None:
    # A BMP says its length and then four zeros; without them "BM" is how a text may begin.
    if head[:2] == b"BM" and head[6:10] == bytes(4):
        return _BMP
    if len(head) > 1 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0:
        return _AAC if head[1] & 0x06 == 0 else _MP3
    return None


_CONTENT_TYPES = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".gif": "image/gif",
    ".webp": "image/webp",
    ".avif": "image/avif",
    ".heic": "image/heic",
    ".bmp": "image/bmp",
    ".tiff": "image/tiff",
    ".mp4": "video/mp4",
    ".mov": "video/quicktime",
    ".webm": "video/webm",
    ".mkv": "video/x-matroska",
    ".mp3": "audio/mpeg",
    ".aac": "audio/aac",
    ".wav": "audio/wav",
    ".ogg": "audio/ogg",
    ".flac": "audio/flac",
    ".m4a": "audio/mp4",
}
# Not `mimetypes`: what it knows depends on the machine and the version of Python, which knew no WebP until 3.13.


def content_type(head: bytes, media: Media) -> str:
    """Return the content type of a file of a medium by its first bytes; that of bytes for a format that is not known."""
    kind = recognise(head)
    if kind is None:
        return "application/octet-stream"
    known = _CONTENT_TYPES[kind.suffix]
    return known.replace("video/", "audio/") if media is Media.AUDIO else known


def check_format(head: bytes, media: Media) -> str | None:
    """Name what is wrong with the first bytes of a file that is to be of a medium; `None` when nothing is."""
    kind = recognise(head)
    if kind is not None and media in kind.media:
        return None
    if kind is not None:
        return f"it was to be {a(media)}, and its first bytes are those of a {kind.suffix} file"
    return f"it was to be {a(media)}, and is {_what(head)}"


def suffix_of(head: bytes, media: Media) -> str:
    """Return the suffix for a file whose first bytes were found to be right."""
    kind = recognise(head)
    if kind is None:
        raise ValueError(f"{head[:8]!r} are the first bytes of no known format")
    return ".m4a" if kind is _MP4 and media is Media.AUDIO else kind.suffix


def a(media: Media) -> str:
    """Return a medium in words, with its article."""
    return "a video" if media is Media.VIDEO else "an image" if media is Media.IMAGE else "an audio track"


def _what(head: bytes) -> str:
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if text.startswith((b"<!doctype", b"<html", b"<head", b"<body")):
        return "a web page, which may come from a proxy or a login page in between; open the link in a browser to see it"
    if not text:
        return "empty"
    if text.startswith((b"{", b"[", b"<")):
        return "text, such as an error message"
    return f"of no known format (it begins with {head[:8]!r})"


# Whether it is all there.


def ends_early(file: BinaryIO) -> bool:
    """Whether a file says of itself that it goes on after its last byte.

    A PNG is made of chunks, an MP4 of boxes and a WebP of one piece, each with its length; what else there is, and what cannot be
    read, is believed to be whole. So is a WAV, into which many a program writes any length.
    """
    size = file.seek(0, os.SEEK_END)
    head = _read(file, 0, 16)
    if head[:8] == b"\x89PNG\r\n\x1a\n" and head[12:] == b"IHDR":
        return _png_ends_early(file, size)
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return int.from_bytes(head[4:8], "little") + 8 > size
    return head[4:8] == b"ftyp" and _mp4_ends_early(file, size)


_MOST_PIECES = 100_000
"""How many pieces of a file are looked at: far more than a file of any use has."""


def _read(file: BinaryIO, place: int, length: int) -> bytes:
    file.seek(place)
    return file.read(length)


def _png_ends_early(file: BinaryIO, size: int) -> bool:
    """Follow the chunks: each is its length, its kind, its bytes and a checksum; the last one is of the kind `IEND`."""
    place = 8
    for _ in range(_MOST_PIECES):
        head = _read(file, place, 8)
        if len(head) == 8 and not head[4:].isalpha():
            return False
        place += int.from_bytes(head[:4], "big") + 12
        if place > size or head[4:] == b"IEND":
            return place > size
    return False


def _mp4_ends_early(file: BinaryIO, size: int) -> bool:
    """Follow the boxes: each is its length, its kind and its bytes; that of the last one may be left open."""
    place = 0
    for _ in range(_MOST_PIECES):
        head = _read(file, place, 16)
        length = int.from_bytes(head[8:16] if head[:4] == b"\0\0\0\1" else head[:4], "big")
        if length < 8 or not head[4:8].isalnum():
            return False
        place += length
        if place >= size:
            return place > size
    return False
