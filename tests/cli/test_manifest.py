"""The manifest of a batch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from genbridge.cli.manifest import saved_files, write_manifest
from genbridge.errors import DownloadError


def row(line: int, *paths: str) -> dict[str, Any]:
    """Return a row with files."""
    return {"line": line, "prompt": "a\nkite\u2028", "paths": list(paths)}


def test_a_manifest_has_a_line_for_each_row(tmp_path: Path) -> None:
    """Its paths are relative to its folder, which may so be moved."""
    path = write_manifest(tmp_path / "new", [row(1, str(tmp_path / "new" / "a.png"), str(tmp_path / "b.png")), row(2)])

    assert tmp_path / "new" / "manifest.jsonl" == path
    first, second = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    assert (["a.png", "../b.png"], "a\nkite\u2028", 2) == (first["paths"], first["prompt"], second["line"])


def test_a_newer_manifest_takes_the_place_of_the_older_one_in_one_step(tmp_path: Path) -> None:
    """Whoever has the old one open reads it to its end; no part is left lying about."""
    path = write_manifest(tmp_path, [row(1), row(2)])
    with path.open(encoding="utf-8") as old:
        write_manifest(tmp_path, [row(3)])
        seen = [json.loads(line)["line"] for line in old]

    assert ([1, 2], [3]) == (seen, [json.loads(line)["line"] for line in path.read_text().splitlines()])
    assert ["manifest.jsonl"] == [path.name for path in tmp_path.iterdir()]


def test_a_row_that_cannot_be_written_leaves_the_older_manifest_whole(tmp_path: Path) -> None:
    """JSON knows no infinity."""
    path = write_manifest(tmp_path, [row(1)])

    with pytest.raises(ValueError, match="JSON"):
        write_manifest(tmp_path, [row(2) | {"cost": float("inf")}])

    assert 1 == json.loads(path.read_text())["line"]


def test_a_file_in_the_place_of_the_folder_is_told(tmp_path: Path) -> None:
    """With what to do, as any other refusal of the disk."""
    (tmp_path / "out").write_text("")

    with pytest.raises(DownloadError, match=r"manifest\.jsonl' cannot be written: File exists; run the same command again"):
        write_manifest(tmp_path / "out", [row(1)])


def test_saved_files_are_found_by_their_sidecars(tmp_path: Path) -> None:
    """Under the id that their job was submitted under, whichever try it was; what is no sidecar is passed over."""
    for name, text in {
        "a-1.png.json": '{"job_id": "aaa+2"}',
        "a-1-cover.png.json": '{"job_id": "aaa+2"}',
        "gone.png.json": '{"job_id": "bbb"}',
        "list.json": "[1]",
        "cut.json": '{"job_id"',
        "number.png.json": '{"job_id": 5}',
    }.items():
        (tmp_path / name).write_text(text)
        if name != "gone.png.json":
            (tmp_path / name).with_suffix("").write_text("")

    assert {"aaa": [tmp_path / "a-1-cover.png", tmp_path / "a-1.png"]} == saved_files(tmp_path)
