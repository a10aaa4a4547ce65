"""A folder is checked when it is named, and not when there are files that were paid for."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from genbridge import RequestError
from genbridge.folders import folder, lasting_folder


def test_a_folder_on_record_means_the_same_from_everywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the current one is by then."""
    monkeypatch.chdir(tmp_path)
    assert (Path("out"), tmp_path / "out") == (folder("out"), lasting_folder("out"))


@pytest.mark.parametrize("given", [None, 5, b"out", "a\0b", Path("a\0b")])
def test_what_is_no_path_is_told_so(given: Any) -> None:
    """In one sentence, with the value."""
    for check in (folder, lasting_folder):
        with pytest.raises(RequestError) as caught:
            check(given)
        assert f"{given!r} is no folder; give a path" == str(caught.value)


def test_a_folder_that_no_record_can_hold_is_told_so() -> None:
    """Files can be saved there, but a name that is not UTF-8 cannot be recorded."""
    assert Path("out\udcff") == folder("out\udcff")
    with pytest.raises(RequestError) as caught:
        lasting_folder("/out\udcff")
    assert "'/out\\udcff' is not UTF-8, so it cannot be put on record; nothing was sent, name another folder" == str(caught.value)


def test_a_path_in_bytes_is_told_so(tmp_path: Path) -> None:
    """As of an entry of a folder that was listed in bytes."""
    (tmp_path / "out").mkdir()
    with os.scandir(os.fsencode(tmp_path)) as entries, pytest.raises(RequestError, match="is no folder; give a path"):
        folder(next(entries))
