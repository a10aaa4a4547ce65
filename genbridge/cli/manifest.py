"""`manifest.jsonl`: what came of a batch, a line for each of its requests."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from genbridge.errors import DownloadError
from genbridge.tries import given_id

NAME = "manifest.jsonl"


def write_manifest(directory: Path, rows: Iterable[Mapping[str, Any]]) -> Path:
    """Write the manifest of a batch in one step, in the place of an older one; raises `DownloadError` when the disk refuses.

    The `paths` in it are relative to the folder.
    """
    path = directory / NAME
    lines = [json.dumps({**row, "paths": [_relative(each, directory) for each in row["paths"]]}, allow_nan=False) for row in rows]
    try:
        directory.mkdir(parents=True, exist_ok=True)
        _replace(path, "".join(f"{line}\n" for line in lines))
    except OSError as error:
        raise DownloadError(f"{str(path)!r} cannot be written: {error.strerror}; run the same command again to get it") from None
    return path


def saved_files(directory: Path) -> Mapping[str, Sequence[Path]]:
    """Return the files in a folder by the id that their job was submitted under, as their sidecars say."""
    found: dict[str, list[Path]] = {}
    for sidecar in sorted(directory.glob("*.json")):
        file = sidecar.with_suffix("")
        if file.is_file() and (job_id := _job_of(sidecar)):
            found.setdefault(given_id(job_id), []).append(file)
    return found


def _job_of(sidecar: Path) -> str | None:
    try:
        document = json.loads(sidecar.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    job_id = document.get("job_id") if isinstance(document, dict) else None
    return job_id if isinstance(job_id, str) else None


def _relative(path: str, directory: Path) -> str:
    return Path(os.path.relpath(path, directory)).as_posix()


def _replace(path: Path, text: str) -> None:
    with NamedTemporaryFile("w", dir=path.parent, prefix=f".{NAME}.", encoding="utf-8", newline="\n", delete=False) as file:
        try:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
            os.chmod(file.name, 0o644)  # noqa: PTH101
            os.replace(file.name, path)  # noqa: PTH105
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise
