"""Files that are still arriving."""

from __future__ import annotations

import errno
import os
from hashlib import sha256
from io import FileIO
from pathlib import Path

import pytest

from genbridge.downloads.parts import Origin, Part, _lock, disk_error, open_part, remove_part, write_back
from genbridge.errors import DownloadError

ORIGIN = Origin(validator='"v1"', total=10)


def names(directory: Path) -> list[str]:
    """Return the names of everything in a directory, hidden files too."""
    return sorted(path.name for path in directory.iterdir())


def leave(directory: Path, content: bytes = b"12345", origin: Origin = ORIGIN) -> Path:
    """Leave a part as a killed process does, and return its path."""
    part = open_part(directory, "x")
    part.start(origin)
    part.append([content])
    part.close()
    return part.path


def test_a_part_is_hidden_and_knows_its_bytes(tmp_path: Path) -> None:
    """Size, digest and first bytes are those of what was written."""
    part = open_part(tmp_path, "x")
    part.start(ORIGIN)
    part.append([b"123", b"", b"45"])
    assert (".x.part", 5, b"12345", sha256(b"12345").hexdigest()) == (part.path.name, part.size, part.head, part.digest)
    part.close()


def test_much_at_once_is_digested_as_little_is(tmp_path: Path) -> None:
    """In any mixture, the digest is that of the bytes in their order, and is known when they are written."""
    part = open_part(tmp_path, "x")
    part.start(Origin(validator=None, total=None))
    blocks = [os.urandom(size) for size in (10, 700_000, 700_000, 5, 1_500_000)]
    for batch in (blocks[:1], blocks[1:3], blocks[3:4], blocks[4:]):
        part.append(batch)
    assert sha256(b"".join(blocks)).hexdigest() == part.digest
    assert b"".join(blocks) == part.path.read_bytes()
    part.close()


def test_the_disk_does_not_wait_for_the_end(tmp_path: Path) -> None:
    """Whenever some megabytes are written, the system is told to bring them to the disk, each of them once; little is left out."""
    told: list[tuple[int, int]] = []
    file = FileIO(tmp_path / "x", "x+")
    part = Part(tmp_path / "x", file, write_back=lambda file, start, length: told.append((start, start + length)))
    part.start(Origin(validator=None, total=None))
    for _ in range(20):
        part.append([bytes(1_000_000)])
    part.close()
    assert [(0, 9_000_000), (9_000_000, 18_000_000)] == told


def test_the_hint_to_write_is_no_more_than_that() -> None:
    """Where a file takes none, as a pipe does not, nothing happens: the bytes are brought to the disk at the end."""
    reader, writer = os.pipe()
    with FileIO(reader), FileIO(writer, "w") as file:
        write_back(file, 0, 10)


def test_what_is_thrown_away_counts_for_nothing(tmp_path: Path) -> None:
    """The bytes of another version are brought to the disk from their first one on."""
    told: list[int] = []
    part = Part(tmp_path / "x", FileIO(tmp_path / "x", "x+"), write_back=lambda file, start, length: told.append(start))
    for _ in range(2):
        part.start(Origin(validator=None, total=None))
        part.append([bytes(9_000_000)])
    part.close()
    assert [0, 0] == told


def test_what_was_there_before_is_brought_to_the_disk_no_more(tmp_path: Path) -> None:
    """A part that is gone on with is hinted at from where it stood."""
    told: list[int] = []
    path = tmp_path / ".x.part"
    first = Part(path, FileIO(path, "x+"))
    first.start(Origin(validator='"v1"', total=18_000_000))
    first.append([bytes(9_000_000)])
    first.close()
    part = Part(path, FileIO(path, "r+"), write_back=lambda file, start, length: told.append(start))
    part.recover()
    part.append([bytes(9_000_000)])
    part.close()
    assert [9_000_000] == told


def test_a_part_that_is_closed_is_not_changed(tmp_path: Path) -> None:
    """A thread that comes late fails before it touches the file or its record."""
    path = leave(tmp_path)
    part = open_part(tmp_path, "x")
    part.recover()
    part.close()
    for late in (part.restart, lambda: part.start(ORIGIN), lambda: part.append([b"late"])):
        with pytest.raises(ValueError, match="closed"):
            late()
    assert (b"12345", [".x.part", ".x.part.json"]) == (path.read_bytes(), names(tmp_path))


def test_a_part_is_complete_when_all_its_bytes_are_there(tmp_path: Path) -> None:
    """As far as their number is known."""
    part = open_part(tmp_path, "x")
    states = [part.complete]
    part.start(ORIGIN)
    for block in (b"12345", b"67890"):
        part.append([block])
        states.append(part.complete)
    part.close()
    assert [False, False, True] == states


def test_a_part_is_taken_up_again(tmp_path: Path) -> None:
    """With its origin, its digest and its first bytes, and what comes is put behind."""
    leave(tmp_path, b"x" * 70, Origin(validator='"v1"', total=None))
    part = open_part(tmp_path, "x")
    part.recover()
    part.append([b"y"])
    assert (71, b"x" * 64, sha256(b"x" * 70 + b"y").hexdigest()) == (part.size, part.head, part.digest)
    assert Origin(validator='"v1"', total=None) == part.origin
    part.close()
    assert b"x" * 70 + b"y" == part.path.read_bytes()


@pytest.mark.parametrize(
    "record",
    [
        "",
        "[]",
        "{}",
        '{"validator": null, "total": 10}',
        '{"validator": "", "total": 10}',
        '{"validator": "a", "total": "b"}',
        "[" * 99999,
    ],
)
def test_a_part_whose_record_is_no_good_starts_empty(tmp_path: Path, record: str) -> None:
    """Its bytes are not trusted."""
    path = leave(tmp_path)
    path.with_name(".x.part.json").write_text(record)
    part = open_part(tmp_path, "x")
    part.recover()
    assert (0, b"") == (part.size, part.path.read_bytes())
    part.close()
    assert [] == names(tmp_path)


def test_a_part_that_is_too_long_starts_empty(tmp_path: Path) -> None:
    """It cannot be of the file that its record tells of."""
    leave(tmp_path, b"12345678901")
    part = open_part(tmp_path, "x")
    part.recover()
    assert 0 == part.size
    part.close()


@pytest.mark.parametrize(("content", "origin"), [(b"", ORIGIN), (b"12345", Origin(validator=None, total=10))])
def test_a_part_of_no_use_is_removed(tmp_path: Path, content: bytes, origin: Origin) -> None:
    """Nothing to resume, or nobody knows of what."""
    leave(tmp_path, content, origin)
    assert [] == names(tmp_path)


def test_a_part_that_is_not_to_be_kept_is_removed(tmp_path: Path) -> None:
    """With its record."""
    leave(tmp_path)
    part = open_part(tmp_path, "x")
    part.recover()
    part.keep = False
    part.close()
    assert [] == names(tmp_path)


def test_a_part_in_use_is_left_to_its_user(tmp_path: Path) -> None:
    """A second one gets a part of its own, and closing it leaves the first alone."""
    first = open_part(tmp_path, "x")
    second = open_part(tmp_path, "x")
    first.start(ORIGIN)
    first.append([b"first"])
    second.start(ORIGIN)
    second.append([b"2nd"])
    assert (b"first", b"2nd") == (first.path.read_bytes(), second.path.read_bytes())
    second.keep = False
    second.close()
    first.close()
    assert [".x.part", ".x.part.json"] == names(tmp_path)


def test_a_finished_part_is_not_removed_under_its_new_name(tmp_path: Path) -> None:
    """Nor is a new part of the same name that somebody began since."""
    part = open_part(tmp_path, "x")
    part.start(ORIGIN)
    part.append([b"1234567890"])
    assert tmp_path / "x.png" == part.finish(lambda: part.path.rename(tmp_path / "x.png"))
    (tmp_path / ".x.part").write_bytes(b"somebody else's")
    part.close()
    assert [".x.part", "x.png"] == names(tmp_path)


def test_a_part_that_is_a_directory_is_an_error(tmp_path: Path) -> None:
    """It says where."""
    (tmp_path / ".x.part").mkdir()
    with pytest.raises(DownloadError, match="it cannot be written to"):
        open_part(tmp_path, "x")


def test_a_link_in_the_place_of_a_record_is_replaced(tmp_path: Path) -> None:
    """What it points at stays as it is."""
    precious = tmp_path / "precious"
    precious.write_text("precious")
    (tmp_path / ".x.part.json").symlink_to(precious)
    leave(tmp_path)
    assert "precious" == precious.read_text()
    assert not (tmp_path / ".x.part.json").is_symlink()


def test_what_a_killed_process_left_can_be_removed(tmp_path: Path) -> None:
    """The part and its record; where there is none, nothing happens."""
    leave(tmp_path)
    remove_part(tmp_path, "x")
    remove_part(tmp_path, "x")
    remove_part(tmp_path / "nowhere", "x")
    assert [] == names(tmp_path)


def test_the_record_of_a_part_that_is_gone_can_be_removed(tmp_path: Path) -> None:
    """A process may have been killed between the two."""
    leave(tmp_path).unlink()
    remove_part(tmp_path, "x")
    assert [] == names(tmp_path)


def test_a_part_that_somebody_is_at_work_on_is_not_removed(tmp_path: Path) -> None:
    """Nor its record; once it is let go, both are."""
    part = open_part(tmp_path, "x")
    part.start(ORIGIN)
    part.append([b"12345"])
    remove_part(tmp_path, "x")
    assert [".x.part", ".x.part.json"] == names(tmp_path)
    part.close()
    remove_part(tmp_path, "x")
    assert [] == names(tmp_path)


def test_a_file_system_without_locks_will_do(tmp_path: Path) -> None:
    """Where a lock cannot be had, nobody holds one."""
    descriptor = os.open(tmp_path, os.O_RDONLY | os.O_PATH) if hasattr(os, "O_PATH") else -1
    assert _lock(descriptor)
    os.close(descriptor) if descriptor >= 0 else None


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_disk_asks_for_room(number: int) -> None:
    """It says where."""
    error = disk_error(OSError(number, os.strerror(number)), Path("out"))
    assert f"there is no room for it in 'out' ({os.strerror(number)}); make some and run it again" == str(error)


def test_another_refusal_asks_for_another_directory() -> None:
    """An error without words has at least a name."""
    expected = "it cannot be written to 'out' (PermissionError); choose another directory, or change that one"
    assert expected == str(disk_error(PermissionError(), Path("out")))
