"""Whatever comes from outside is read, or refused in words; `tests/faults/fuzz.py` asks the same judges, and has more time."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import attrs
import judges
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from inputs import ODD, reply, vocabulary
from judges import FORMS, KEY, PROVIDERS
from studio import InlineJournal

from genbridge import GenbridgeError, Job, JobStatus, JournalError, Media, Reply, RequestError
from genbridge.budgets import Budget
from genbridge.cli.item import NAMES
from genbridge.cli.sheet import Sheet, read
from genbridge.journal.records import COLUMNS

WORDS = st.text(max_size=12)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | WORDS | st.sampled_from(ODD)


def documents(words: st.SearchStrategy[str]) -> st.SearchStrategy[Any]:
    """Return JSON documents with those words as names and values."""
    return st.recursive(
        SCALARS | words,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=6),
        max_leaves=15,
    )


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder for files that the next example overwrites."""
    return tmp_path_factory.mktemp("scratch")


# Replies.

STATUSES = st.sampled_from((200, 200, 200, 201, 400, 401, 402, 404, 408, 409, 425, 429, 500, 503)) | st.integers(100, 599)
HEADERS = st.dictionaries(
    st.sampled_from(("content-type", "retry-after", "date", "x-request-id", "location")),
    WORDS | st.sampled_from((*FORMS, "7", "Sun, 06 Nov 1994 08:49:37 GMT", "application/json")),
)


@pytest.mark.parametrize("name", PROVIDERS)
@given(data=st.data(), status=STATUSES, headers=HEADERS)
def test_any_document_in_a_services_words_is_judged_by_the_rules(
    name: str, data: st.DataObject, status: int, headers: dict[str, str]
) -> None:
    """A submit is refused only where the rules say so, a job stays the same one, no plugin stumbles and the key is not quoted."""
    words = st.sampled_from(vocabulary(name)) | WORDS
    document = data.draw(st.dictionaries(words, documents(words), max_size=8) | documents(words))
    judges.judge_reply(name, Reply(status=status, headers=headers, body=json.dumps(document).encode(), received=1.8e9))


@pytest.mark.parametrize("name", PROVIDERS)
@given(body=st.binary() | st.text().map(str.encode), status=STATUSES, headers=HEADERS)
def test_any_bytes_are_judged_by_the_rules(name: str, body: bytes, status: int, headers: dict[str, str]) -> None:
    """Pages, pictures and nothing at all."""
    judges.judge_reply(name, Reply(status=status, headers=headers, body=body))


@pytest.mark.parametrize("name", PROVIDERS)
@given(data=st.binary(max_size=200))
@example(data=b'\r".jpg"\xff"\xff\xff')
@example(data=b'sin" Keet` ')
def test_what_a_fuzzer_means_by_bytes_is_judged_by_the_rules(name: str, data: bytes) -> None:
    """Those that it has found something with are kept here."""
    judges.judge_reply(name, reply(name, data))


@pytest.mark.parametrize("name", PROVIDERS)
def test_no_other_status_is_a_refusal(name: str) -> None:
    """Whatever the words in it."""
    told = b'{"success": false, "error": {"code": "INVALID_PROMPT", "message": "insufficient credits"}, "code": 402}'
    others = {*range(100, 600)} - {*range(200, 300)} - judges._NOTHING_STARTED
    for status in others:
        for body in (b"", told):
            judges.judge_submit(name, Media.IMAGE, Reply(status=status, body=body))


def test_a_judge_can_find_against() -> None:
    """A status of success without a file, a key that is told, and a refusal of a job that is named."""
    job = judges.job_at("imini", Media.IMAGE, "id-1")
    done = attrs.evolve(
        judges.at_once(judges.account_at("imini", Reply.of({"status": "queued"})).poll(job)), status=JobStatus.SUCCEEDED
    )
    with pytest.raises(AssertionError, match="there is no file"):
        judges._judge_snapshot(done, job, Reply(status=200))
    with pytest.raises(AssertionError, match="tells the key"):
        judges._sound(f"the key {KEY} is odd")
    assert judges._names_a_job("sseedance", Reply.of({"data": [{"id": "t"}]}))
    with pytest.raises(AssertionError, match="HTTP 500"):
        judges._judge_refusal("imini", Reply(status=500), judges.ServiceError("no"))


# Times.

DATES = st.datetimes().map(lambda date: date.strftime("%a, %d %b %Y %H:%M:%S GMT")) | WORDS


@given(st.text() | DATES | st.integers().map(str), DATES, st.none() | st.floats())
@example("9" * 400, "", 0.0)
@example("Fri, 31 Dec 9999 23:59:59 -2359", "", 0.0)
@example("Mon, 01 Jan 0001 00:00:00 +2359", "Mon, 01 Jan 0001 00:00:00 +2359", None)
def test_any_retry_after_is_a_time_to_wait_or_nothing(value: str, date: str, received: float | None) -> None:
    """In seconds, as a date, or as anything else."""
    judges.judge_retry_after(value, date, received if received is None or math.isfinite(received) else 0.0)


# Configuration.

_PLACES = (
    *("backends", "routes", "default", "journal", "downloads", "a", "provider", "api_key", "base_url", "poll", "budget", "limits"),
    *("interval", "learn", "timeout", "max_concurrent", "submits_per_minute", "prefer", "path", "max_bytes", "allow_private"),
    *("imini", "meigen", "image", "video", "submits", "per", "concurrent", "per_job", "env:K", "file:k", "https://x/y", "order"),
)
_PLACE = st.sampled_from(_PLACES) | st.text(max_size=4)


@given(st.dictionaries(st.sampled_from(_PLACES[:5]), documents(_PLACE).filter(lambda value: value is not None)))
def test_any_document_is_a_configuration_or_has_mistakes(document: dict[str, Any]) -> None:
    """And whichever it is, a key in it is not shown."""
    judges.judge_document(document)


_LINE = st.one_of(
    st.builds("[{}.{}]".format, st.sampled_from(_PLACES), _PLACE),
    st.builds(
        "{} = {}".format, st.sampled_from(_PLACES), st.sampled_from(("1", "true", "[]", "{}", "-0.0", "inf", "1e400", '"a"'))
    ),
    st.builds('{} = "{}"'.format, st.sampled_from(_PLACES), _PLACE),
    st.builds('api_key = "{}{}"'.format, st.sampled_from(("", "env:", "file:")), st.just(KEY)),
    st.text(max_size=20),
)


@given(st.lists(_LINE, max_size=10).map("\n".join))
@example("\ufeffdefault = 1")
@example("default = 2026-01-01")
def test_any_file_is_a_configuration_or_an_error_of_ours(scratch: Path, text: str) -> None:
    """Whatever its lines."""
    path = scratch / "genbridge.toml"
    path.write_bytes(text.encode())
    judges.judge_config(text.removeprefix("\ufeff"), path=path)


@given(st.binary())
def test_any_bytes_are_a_configuration_or_an_error_of_ours(scratch: Path, data: bytes) -> None:
    """A picture, too."""
    path = scratch / "genbridge.toml"
    path.write_bytes(data)
    judges.judge_config(data.decode("utf-8-sig", "replace"), path=path)


# Addresses.

_HOST = st.sampled_from(
    ("127.0.0.1", "0x7f.1", "[::1]", "[::ffff:10.0.0.1]", "[::1]@", "u:p@h", "localhost", "a.example", "", "%31", "@")
)
_ADDRESS = st.builds("{}{}{}{}".format, st.sampled_from(("http://", "https://", "//", "/", "data:", "")), _HOST, _HOST, WORDS)


@given(st.text() | _ADDRESS)
@example("https://[::d1]@")
@example("https://u:p@//u:p@h/")
@example("https:////\x7f@\nff:true20.0.0.1]/")
@example("http://169.254.0.0%")
def test_any_address_leads_where_it_may_or_nowhere(text: str) -> None:
    """As a link to a file, as a place that a reply names, and as a reference."""
    judges.judge_link(text)
    judges.judge_location(text)
    judges.judge_reference(text)


# Files.


@given(st.binary() | documents(st.sampled_from(("job_id", "job-1", "bytes", "sha256"))).map(json.dumps).map(str.encode))
@example(b'{"job_id": "job-1", "bytes": 6, "sha256": ["x"]}')
def test_any_sidecar_is_believed_only_when_it_is_right(scratch: Path, data: bytes) -> None:
    """A file of somebody else's is not taken for a job's."""
    judges.judge_sidecar(data, folder=scratch)


_ROW = documents(st.sampled_from((*NAMES, "source", "role", "image", "video", "a.png")))
_CSV = st.lists(st.lists(st.sampled_from(NAMES) | WORDS, max_size=4).map(",".join), max_size=4).map("\n".join)


@given(st.sampled_from((".jsonl", ".csv")), st.binary() | _CSV.map(str.encode) | _ROW.map(json.dumps).map(str.encode))
def test_any_file_of_requests_is_read_or_refused(scratch: Path, suffix: str, data: bytes) -> None:
    """Every mistake with its line, and never an exception that is not ours."""
    path = scratch / f"requests{suffix}"
    path.write_bytes(data)
    try:
        sheet = read(path)
    except RequestError:
        return
    assert isinstance(sheet, Sheet)
    assert all(1 <= line <= data.count(b"\n") + data.count(b"\r") + 1 for line in sheet.problems)
    assert all(problem.message for problems in sheet.problems.values() for problem in problems)


# Rows of the journal.

_TEXTS = ("id", "key", "backend", "provider", "model", "provider_model", "media", "status", "unit", "request", "quote")
_OPTIONAL = ("provider_id", "cost", "failure", "result", "save_to")
_REALS = tuple(name for name in COLUMNS if name not in {*_TEXTS, *_OPTIONAL})
_FIELDS = st.sampled_from(
    ("prompt", "media", "amount", "unit", "message", "assets", "url", "request", "created_at", "image", "certainty")
)
_CELL = st.text() | documents(_FIELDS).map(json.dumps)
_DAMAGE = st.one_of(
    st.tuples(st.sampled_from(_TEXTS[1:]), _CELL),
    st.tuples(st.sampled_from(_OPTIONAL), _CELL),
    st.tuples(st.sampled_from(_REALS), st.floats() | st.sampled_from((1e300, -1e300, 1e18, math.inf))),
)


@given(_DAMAGE)
async def test_a_row_that_was_damaged_is_an_error_of_ours_and_spoils_no_other(damage: tuple[str, Any]) -> None:
    """Whatever is in it: it is a job still, or a `JournalError`, and the job beside it can be read."""
    name, value = damage
    journal = InlineJournal(None)
    await journal.open()
    for number in ("1", "2"):
        job = attrs.evolve(judges.job_at("imini", Media.IMAGE, "p"), id=number, key=number)
        await journal.add(job, Budget())
    await _damage(journal, name, value)
    first, second = [await _got(journal, number) for number in ("1", "2")]
    await journal.aclose()
    assert "2" == getattr(second, "id", None)
    assert isinstance(first, Job | None) or "the journal in memory cannot be" in first.message


async def _got(journal: InlineJournal, job_id: str) -> Job | JournalError | None:
    try:
        return await journal.get(job_id)
    except JournalError as error:
        return error


async def _damage(journal: InlineJournal, name: str, value: object) -> None:
    """Change a column of one row, where SQLite takes the value."""
    text = value.encode("utf-8", "replace").decode() if isinstance(value, str) else value
    change = f"update jobs set {name} = ? where id = '1'"
    try:
        await journal._store.do(lambda db: db.execute(change, (text,)))
    except GenbridgeError:
        return
