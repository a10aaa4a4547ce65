"""A file of requests: JSON lines or CSV, read as a whole, every mistake with its line."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import attrs

from genbridge.cli.item import FLAGS, NAMES, WHOLE, Item, read_item
from genbridge.errors import Problem, RequestError
from genbridge.tables import shown
from genbridge.words import did_you_mean, listed

STDIN = Path("-")

_BOOLEANS = {"yes": True, "true": True, "no": False, "false": False}


@attrs.frozen(kw_only=True)
class _Raw:
    """One object or row as it was read: the line it begins on, its fields if it has any, and what is wrong with it so far."""

    line: int
    fields: Mapping[str, Any] | None = None
    problems: Sequence[Problem] = ()


@attrs.frozen(kw_only=True)
class Sheet:
    """What a file asks for, in order, and what is wrong with it, by line."""

    items: tuple[Item, ...]
    problems: Mapping[int, Sequence[Problem]]


def read(path: Path) -> Sheet:
    """Read a `.jsonl` or `.csv` file, or JSON lines from stdin for `-`.

    Local references are relative to the file's folder, and made absolute, so that a request is the same from wherever it is read.
    Raises `RequestError` for a file that cannot be read or asks for nothing.
    """
    parse = _table if _is_table(path) else _lines
    found = _sheet(parse(_text(path)), (Path() if path == STDIN else path.parent).resolve())
    if not found.items and not found.problems:
        raise RequestError(f"{name_of(path)} has no request; write one on each line")
    return found


def name_of(path: Path) -> str:
    """Return what messages call a file."""
    return "stdin" if path == STDIN else str(path)


def refusal(path: Path, problems: Mapping[int, Sequence[Problem]]) -> RequestError:
    """Return the error that lists what is wrong with a file, in the order of its lines."""
    found = [_placed(line, problem) for line in sorted(problems) for problem in problems[line]]
    count = "a mistake" if len(found) == 1 else f"{len(found)} mistakes"
    return RequestError(f"{name_of(path)} has {count}; nothing was sent", problems=found)


def _placed(line: int, problem: Problem) -> Problem:
    return Problem(f"line {line}, {problem.field}" if problem.field else f"line {line}", problem.message)


def _is_table(path: Path) -> bool:
    suffix = ".jsonl" if path == STDIN else path.suffix.lower()
    if suffix not in {".jsonl", ".csv"}:
        raise RequestError(f"{name_of(path)} is neither .jsonl nor .csv; a batch is JSON lines, or a table with a header")
    return suffix == ".csv"


def _text(path: Path) -> str:
    data = b""
    if path == STDIN and sys.stdin is None:
        raise RequestError("there is no input to read the batch from; name a file, or give it on stdin")
    try:
        data = sys.stdin.buffer.read() if path == STDIN else path.read_bytes()
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise RequestError(f"{name_of(path)} is not UTF-8 in line {line}; save it as UTF-8") from None
    except OSError as error:
        raise RequestError(f"{name_of(path)} cannot be read: {error.strerror}") from None


def _sheet(rows: Iterable[_Raw], folder: Path) -> Sheet:
    items: list[Item] = []
    problems: dict[int, list[Problem]] = {}
    for row in rows:
        item, wrong = read_item(row.line, row.fields, folder) if row.fields is not None else (None, [])
        if found := [*row.problems, *wrong]:
            problems.setdefault(row.line, []).extend(found)
        elif item is not None:
            items.append(item)
    for line, problem in _repeated(items):
        problems.setdefault(line, []).append(problem)
    return Sheet(items=tuple(items), problems=problems)


def _repeated(items: Iterable[Item]) -> Iterator[tuple[int, Problem]]:
    seen: dict[str, int] = {}
    for item in items:
        if item.id in seen:
            yield item.line, Problem("id", f"{item.id!r} is taken by line {seen[item.id]}; each needs one of its own")
        elif item.id is not None:
            seen[item.id] = item.line


# JSON lines.


def _lines(text: str) -> Iterator[_Raw]:
    """Read an object from each line that is not blank."""
    if text.lstrip().startswith("["):
        yield _Raw(
            line=1, problems=[Problem("", "it begins a JSON array; write one object on each line, with nothing around them")]
        )
        return
    # Not `splitlines`: a string in JSON may have what that takes for the end of a line.
    for line, words in enumerate(text.split("\n"), 1):
        if words.strip():
            yield _object(line, words.strip())


def _object(line: int, text: str) -> _Raw:
    try:
        value = json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        return _Raw(line=line, problems=[Problem("", _not_json(text, error))])
    if not isinstance(value, dict):
        return _Raw(line=line, problems=[Problem("", f'{shown(value)} is not an object; write {{"prompt": "…"}}')])
    return _Raw(line=line, fields=value)


def _not_json(text: str, error: Exception) -> str:
    if text.startswith(("#", "//")):
        return "it is not JSON; comments are not possible"
    if text.endswith("},"):
        return "it ends with a comma; write one object on each line, with nothing between them"
    return f"it is not JSON: {_reason(error)}"


def _reason(error: Exception) -> str:
    return f"{error.msg.lower()} at column {error.colno}" if isinstance(error, json.JSONDecodeError) else str(error)


def _refuse_constant(word: str) -> NoReturn:
    raise ValueError(f"{word} is not a JSON value")


def _unique(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"{next(name for name in names if names.count(name) > 1)!r} is given twice")
    return found


# CSV.


def _table(text: str) -> Iterator[_Raw]:
    """Read a header with the names of fields, and a request from each row below it; an empty cell is not given."""
    names: list[str] = []
    for line, cells in _cells(text):
        if isinstance(cells, csv.Error):
            yield _Raw(line=line, problems=[Problem("", f"from here on it is not CSV: {cells}; is a quote open?")])
        elif names:
            yield _record(line, names, cells)
        else:
            names = [cell.strip() for cell in cells]
            if wrong := list(_wrong_columns(names)):
                yield _Raw(line=line, problems=wrong)
            # Without prompts, every row would say the same again.
            if "prompt" not in names:
                return


def _cells(text: str) -> Iterator[tuple[int, list[str] | csv.Error]]:
    """Yield each row that is not empty, with the line that it begins on."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    line = 1
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield line, cells
            line = reader.line_num + 1
    except csv.Error as error:
        yield line, error


def _wrong_columns(names: Sequence[str]) -> Iterator[Problem]:
    if len(names) == 1 and (mark := next((mark for mark in ";\t" if mark in names[0]), None)):
        yield Problem("", f"the columns are separated by {mark!r}; save the table with commas")
        return
    if "prompt" not in names:
        yield Problem("", f"the header has no column 'prompt'; it begins the table with names such as {listed(NAMES[:3])}")
    for index, name in enumerate(names):
        if name in names[:index]:
            yield Problem(name, "the column is there twice")
        elif name not in NAMES:
            near = did_you_mean(name, NAMES) or f"; known are {listed(NAMES)}"
            yield Problem(name or f"column {index + 1}", f"unknown column{near}")


def _record(line: int, names: Sequence[str], cells: Sequence[str]) -> _Raw:
    if len(cells) > len(names):
        message = f"it has {len(cells)} cells and the header {len(names)}; put quotes around a cell with a comma in it"
        return _Raw(line=line, problems=[Problem("", message)])
    given = {name: cell.strip() for name, cell in zip(names, cells, strict=False) if name in NAMES and cell.strip()}
    fields: dict[str, Any] = {}
    problems: list[Problem] = []
    for name, cell in given.items():
        try:
            fields[name] = _value(name, cell)
        except (ValueError, RecursionError) as error:
            problems.append(Problem(name, f"it is not JSON: {_reason(error)}"))
    return _Raw(line=line, fields=fields, problems=problems)


def _value(name: str, cell: str) -> Any:
    """Return a cell as JSON would have it; what it cannot be is left as it is, for the check to report."""
    if name == "options":
        return json.loads(cell, parse_constant=_refuse_constant, object_pairs_hook=_unique)
    if name == "references":
        return [source.strip() for source in cell.split(";") if source.strip()]
    if name in FLAGS:
        return _BOOLEANS.get(cell.lower(), cell)
    if name in WHOLE or name == "duration":
        return _number(cell)
    return cell


def _number(cell: str) -> float | str:
    for kind in (int, float):
        try:
            return kind(cell)
        except ValueError:
            continue
    return cell
