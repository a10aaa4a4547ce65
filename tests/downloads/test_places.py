"""Finished files: found again, and placed without taking anything's name."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest

from genbridge.downloads.places import find, place, prepare, rename_free, sidecar_of
from genbridge.errors import DownloadError

CONTENT = b"content"
DIGEST = sha256(CONTENT).hexdigest()


def names(directory: Path) -> list[str]:
    """Return the names of everything in a directory, hidden files too."""
    return sorted(path.name for path in directory.iterdir())


def describe(job_id: str = "job") -> Callable[[Path], dict[str, object]]:
    """Return a function that makes a sidecar's document."""
    return lambda path: {"job_id": job_id, "sha256": DIGEST, "bytes": len(CONTENT), "file": path.name}


def save(directory: Path, job_id: str = "job") -> Path:
    """Place a part with the usual content."""
    part = directory / ".part"
    part.write_bytes(CONTENT)
    return place(part, directory, "x", ".png", describe(job_id))


def no_links(source: Path, target: Path) -> None:
    """Be a file system without hard links."""
    raise PermissionError


def test_a_placed_file_is_found_again(tmp_path: Path) -> None:
    """With its sidecar beside it, and no part left."""
    path = save(tmp_path)
    assert (tmp_path / "x.png", CONTENT) == (path, path.read_bytes())
    assert "x.png" == json.loads(sidecar_of(path).read_text())["file"]
    assert path == find(tmp_path, "x", "job")
    assert {"x.png", "x.png.json"} == set(names(tmp_path))


def test_half_a_sidecar_of_a_killed_process_is_taken_away(tmp_path: Path) -> None:
    """Whoever takes the part up finds it under the part's own name, and nothing hidden is left."""
    (tmp_path / ".part.sidecar").write_text('{"genbridge": ')
    path = save(tmp_path)
    assert path == find(tmp_path, "x", "job")
    assert ["x.png", "x.png.json"] == names(tmp_path)


def test_another_jobs_file_keeps_its_name(tmp_path: Path) -> None:
    """The second gets a number, and each job finds its own."""
    first, second, third = (save(tmp_path, job) for job in ("one", "two", "three"))
    assert ["x.png", "x_2.png", "x_3.png"] == [path.name for path in (first, second, third)]
    assert [first, second, third, None] == [find(tmp_path, "x", job) for job in ("one", "two", "three", "four")]


def test_the_same_file_of_the_same_job_is_placed_once(tmp_path: Path) -> None:
    """The part is left to whoever made it."""
    assert save(tmp_path) == save(tmp_path)
    assert {"x.png", "x.png.json", ".part"} == set(names(tmp_path))


def test_a_sidecar_left_behind_is_used_again(tmp_path: Path) -> None:
    """A process killed between the sidecar and the file has not taken the name for ever."""
    path = save(tmp_path)
    path.unlink()
    assert None is find(tmp_path, "x", "job")
    assert path == save(tmp_path)
    assert {"x.png", "x.png.json"} == set(names(tmp_path))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.write_bytes(b"CONTENT"),
        lambda path: path.write_bytes(b"more content"),
        lambda path: sidecar_of(path).write_text("{}"),
        lambda path: sidecar_of(path).write_text("not JSON"),
        lambda path: sidecar_of(path).write_text('{"job_id": "job", "sha256": 1}'),
        lambda path: sidecar_of(path).unlink(),
    ],
    ids=["other bytes", "other size", "empty sidecar", "no JSON", "no digest", "no sidecar"],
)
def test_a_file_that_is_not_as_its_sidecar_says_is_not_taken_for_ours(tmp_path: Path, spoil: Callable[[Path], object]) -> None:
    """It stays as it is, and the next one gets another name."""
    path = save(tmp_path)
    spoil(path)
    before = path.read_bytes()
    assert None is find(tmp_path, "x", "job")
    assert tmp_path / "x_2.png" == save(tmp_path)
    assert before == path.read_bytes()


@pytest.mark.parametrize(
    "make", [Path.mkdir, lambda path: path.symlink_to("x.png.real"), os.mkfifo], ids=["directory", "link", "pipe"]
)
def test_what_is_no_plain_file_is_not_taken_for_ours(tmp_path: Path, make: Callable[[Path], object]) -> None:
    """Neither is it followed, nor read, nor replaced, even where its sidecar fits."""
    path = save(tmp_path)
    path.rename(tmp_path / "x.png.real")
    make(path)
    assert None is find(tmp_path, "x", "job")
    assert tmp_path / "x_2.png" == save(tmp_path)


def test_a_link_in_the_place_of_a_sidecar_is_not_followed(tmp_path: Path) -> None:
    """What it points at is not overwritten."""
    precious = tmp_path / "precious"
    precious.write_bytes(b"precious")
    sidecar_of(tmp_path / "x.png").symlink_to(precious)
    assert tmp_path / "x_2.png" == save(tmp_path)
    assert b"precious" == precious.read_bytes()


def test_a_name_that_is_taken_at_the_last_moment_is_left_alone(tmp_path: Path) -> None:
    """Another file that comes between the look and the link keeps its name, and our sidecar does not stay beside it."""
    part = tmp_path / ".part"
    part.write_bytes(CONTENT)
    taken = tmp_path / "x.png"
    document = Late(taken, b"theirs")
    assert tmp_path / "x_2.png" == place(part, tmp_path, "x", ".png", lambda path: document if path == taken else describe()(path))
    assert b"theirs" == taken.read_bytes()
    assert {"x.png", "x_2.png", "x_2.png.json"} == set(names(tmp_path))


def test_a_file_of_ours_that_comes_at_the_last_moment_is_as_good(tmp_path: Path) -> None:
    """Another process has put the same file there."""
    part = tmp_path / ".part"
    part.write_bytes(CONTENT)
    taken = tmp_path / "x.png"
    assert taken == place(part, tmp_path, "x", ".png", lambda _: Late(taken, CONTENT))
    assert {"x.png", "x.png.json", ".part"} == set(names(tmp_path))


class Late(dict[str, object]):
    """A sidecar's document during whose writing somebody puts a file in place."""

    def __init__(self, path: Path, content: bytes) -> None:
        super().__init__(describe()(path))
        self.path = path
        self.content = content

    def items(self):  # type: ignore[no-untyped-def] # noqa: ANN201
        """Put the file there, as the document is written."""
        self.path.write_bytes(self.content)
        return super().items()


def test_a_free_name_is_taken_without_hard_links_too(tmp_path: Path) -> None:
    """A file system that has none gets a rename, and still nothing is overwritten."""
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(b"one")
    assert rename_free(source, target, link=no_links)
    source.write_bytes(b"two")
    assert not rename_free(source, target, link=no_links)
    assert not rename_free(source, target)
    assert (b"two", b"one") == (source.read_bytes(), target.read_bytes())


def test_a_directory_that_cannot_be_made_is_a_download_error(tmp_path: Path) -> None:
    """The message names it."""
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DownloadError, match=f"it cannot be written to '{tmp_path}/file/out'"):
        prepare(tmp_path / "file" / "out")
