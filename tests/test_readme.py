"""What the README says first, and what it says of each service's fields."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs
import pytest

from genbridge import ImageRequest, JobStatus, Reference, Reply, Request, VideoRequest, plugins
from genbridge.catalogue import choose
from genbridge.testing.stage import backend_of, job_of

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^\$ (.*)$", README, flags=re.MULTILINE)
INSTALL = 'pip install ".[cli]" && '
PROVIDERS = ("MeiGen", "imini", "sseedance")
NONE = "–"


# The two commands.


def test_the_first_command_ends_with_a_picture_and_a_film(tmp_path: Path) -> None:
    """Once the package is there, the newcomer has a PNG and an MP4 on disk, and their paths on stdout."""
    assert COMMANDS[0].startswith(INSTALL)
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    script = ["sh", "-e", "-c", COMMANDS[0].removeprefix(INSTALL)]
    said = subprocess.run(script, cwd=tmp_path, env={**os.environ, "PATH": path}, check=True, capture_output=True, text=True)
    starts = {file.suffix: (tmp_path / file).read_bytes()[:12] for file in map(Path, said.stdout.splitlines()[:2])}
    assert starts[".png"].startswith(b"\x89PNG\r\n\x1a\n")
    assert starts[".mp4"][4:8] == b"ftyp"


def test_the_second_command_is_what_ci_runs() -> None:
    """Install nox, run nox: with no other arguments than a person gives."""
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert COMMANDS[1] == "pip install nox && nox"
    assert [*re.findall(r"pip install (?:--quiet )?(nox)\b", script), *re.findall(r'/bin/(nox)" "\$@"', script)] == ["nox", "nox"]


# The table of counts.


def test_the_counts_are_those_that_the_harness_printed() -> None:
    """Each client's numbers are its numbers on the page that `nox -s faults` writes."""
    page = (ROOT / "docs" / "reference" / "faults.md").read_text(encoding="utf-8").partition("\n## Other clients\n")[2]
    printed = {(client, "fallback" in call, *counts) for client, call, _, *counts in table_lines(page)}
    _, *lines = table_lines(README.partition("\nThis is measured.")[2].partition("\n\n`nox")[0])
    named = [(client.partition(",")[0], "fallback" in client, *counts) for client, *counts in lines]
    router = next(client for client, *_ in named if client.startswith("litellm"))
    assert set() == {(router if client == "the same" else client, *rest) for client, *rest in named} - printed
    assert 5 == len(named)


def table_lines(text: str) -> list[list[str]]:
    """Return the cells of every line of a table but the one under its head."""
    return [cells(line) for line in text.splitlines() if line.startswith("|") and "---" not in line]


# The table of fields.


def rows(start: str) -> dict[str, dict[str, str]]:
    """Return the table that comes after a line, by canonical field and service."""
    lines = README.partition(f"\n{start}")[2].partition("\n|")[2].partition("\n\n")[0].splitlines()
    _, *services = cells(f"|{lines[0]}")
    return {field: dict(zip(services, inner, strict=True)) for field, *inner in map(cells, lines[2:])}


def cells(line: str) -> list[str]:
    """Return what stands between the bars of a line."""
    return [cell.strip() for cell in line.strip("|").split("|")]


FIELDS = rows("## Field by field")
BACK = rows("And back:")

_IMAGE, _VIDEO, _AUDIO = (f"https://cdn.example/1.{suffix}" for suffix in ("png", "mp4", "mp3"))
_FIRST = Reference(_IMAGE, role="first_frame")


def _video(**fields: Any) -> Request:
    return VideoRequest("a kite", model="seedance-2.0", **fields)


def _picture(**fields: Any) -> Request:
    return ImageRequest("a kite", model="gpt-image-2", **fields)


def pairs(row: str, provider: str) -> Iterator[tuple[Request, Request]]:
    """Return requests without and with a field."""
    make = _picture if provider == "sseedance" or row in {"`quality`", "`count`", "`size`"} or "for an image" in row else _video
    if row == "`aspect_ratio`" and provider == "sseedance":
        yield make(resolution="4k"), make(resolution="4k", aspect_ratio="16:9")
    if row == "image as `style`, for an image" and provider == "MeiGen":
        niji = ImageRequest("a kite", model="midjourney-niji7")
        yield niji, attrs.evolve(niji, references=_REFERENCES[row])
    elif row in _REFERENCES:
        yield make(), make(references=_REFERENCES[row])
    else:
        yield make(), make(**{row.strip("`"): _VALUES[row](provider)})


_VALUES: Mapping[str, Any] = {
    "`aspect_ratio`": lambda _: "16:9",
    "`resolution`": lambda provider: "1k" if provider == "sseedance" else "720p",
    "`size`": lambda _: "1024x1024",
    "`quality`": lambda _: "low",
    "`count`": lambda _: 2,
    "`duration`": lambda _: 6,
    "`audio`": lambda _: False,
    "`seed`": lambda _: 7,
    "`watermark`": lambda _: True,
    "`return_last_frame`": lambda _: True,
}
_REFERENCES: Mapping[str, tuple[Reference, ...]] = {
    "reference as `first_frame`": (_FIRST,),
    "reference as `last_frame`": (_FIRST, Reference(_IMAGE, role="last_frame")),
    "image as `asset`, for a video": (Reference(_IMAGE),),
    "video as `asset`": (Reference(_VIDEO),),
    "audio as `asset`": (Reference(_AUDIO),),
    "image as `asset`, for an image": (Reference(_IMAGE),),
    "image as `style`, for an image": (Reference(_IMAGE, role="style"),),
    "video as `extend`": (Reference(_VIDEO, role="extend", duration=3),),
}
_ALWAYS = {"`prompt`", "`model`", "`Job.key`"}


def sent(provider: str, request: Request) -> dict[str, Any]:
    """Return what a valid request becomes on the wire, by the path of each value."""
    plugin = plugins.installed.load(provider.lower())
    model = choose(plugin.provider.models, request, where=provider)
    ready = attrs.evolve(request, model=model.provider_id)
    call = plugin.call("submit", backend=backend_of(plugin.provider), request=ready, key="the key")
    return dict(flat(call.json))


def flat(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Return the values in a JSON document, each with its path."""
    match value:
        case dict():
            for name, item in value.items():
                yield from flat(item, f"{path}.{name}" if path else name)
        case list():
            found: dict[str, list[Any]] = {}
            for item in value:
                for name, inner in flat(item, f"{path}[]"):
                    found.setdefault(name, []).append(inner)
            yield from found.items()
        case _:
            yield path, value


def can(provider: str, row: str) -> bool:
    """Whether some model of a provider takes a field or a reference at all."""
    models = plugins.installed.load(provider.lower()).provider.models
    if row in _REFERENCES:
        wanted, media = _REFERENCES[row][-1], "image" if "for an image" in row else "video"
        rules = [rule for model in models if model.media == media for rule in model.capabilities.references]
        return any((rule.role, rule.kind) == (wanted.role, wanted.kind) for rule in rules)
    domains = [getattr(model.capabilities, row.strip("`")) for model in models]
    # One possible value is a fact about the model, and no field.
    return any(domain is not None and len(getattr(domain, "values", "some")) > 1 for domain in domains)


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("row", [row for row in FIELDS if row not in _ALWAYS])
def test_a_field_is_sent_as_the_table_says(row: str, provider: str) -> None:
    """The names in a cell are those that appear on the wire when the field is set; a dash is a field that no model has."""
    cell = FIELDS[row][provider]
    assert (cell != NONE) == can(provider, row)
    if cell == NONE:
        return
    appeared: set[str] = set()
    for without, given in pairs(row, provider):
        before, after = sent(provider, without), sent(provider, given)
        appeared |= {name for name, value in after.items() if before.get(name) != value}
    assert set(re.findall(r"`([^`]+)`", cell)) == appeared


@pytest.mark.parametrize("provider", PROVIDERS)
def test_prompt_model_and_key_are_sent_as_the_table_says(provider: str) -> None:
    """What every request has is where the table says; a key is sent only to a service that honours one."""
    request = _picture()
    values = {
        "`prompt`": "a kite",
        "`model`": choose(plugins.installed.load(provider.lower()).provider.models, request, where=provider).provider_id,
    }
    body = sent(provider, request)
    for row, value in {**values, "`Job.key`": "the key"}.items():
        names = [f"`{name}`" for name, found in body.items() if found == value]
        assert FIELDS[row][provider] == (", ".join(names) or NONE)


def polled(provider: str, word: str) -> Reply:
    """Return a service's answer to a poll with a status word and a file."""
    urls = [_IMAGE]
    documents: dict[str, dict[str, Any]] = {
        "MeiGen": {"jobId": "j1", "status": word, "mediaType": "image", "imageUrls": urls},
        "imini": {"task_id": "j1", "status": word, "images": [{"url": _IMAGE}]},
        "sseedance": {"data": {"id": "j1", "status": word, "imageUrls": urls}},
    }
    return Reply.of(documents[provider])


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("status", ["QUEUED", "RUNNING", "SUCCEEDED", "FAILED", "CANCELLED"])
def test_a_status_word_means_what_the_table_says(status: str, provider: str) -> None:
    """The word in a cell is that status when a poll answers it."""
    word = BACK[f"`{status}`"][provider].strip("`")
    if word == NONE:
        return
    plugin = plugins.installed.load(provider.lower())
    job = job_of(plugin.provider, choose(plugin.provider.models, _picture(), where=provider), _picture(), provider_id="j1")
    snapshot = plugin.call("normalize", backend=backend_of(plugin.provider), job=job, reply=polled(provider, word))
    assert JobStatus[status] is snapshot.status
