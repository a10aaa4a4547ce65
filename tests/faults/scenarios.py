"""The scenarios: at which step what goes wrong, with which services, and what must hold. Values only; `faults.py` runs them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import attrs
from script import Door, Fault, How, Step

from genbridge import JobStatus

RIGHT = "right"
REFUSED = "refused"


@attrs.frozen(kw_only=True)
class Column:
    """One service as it is tried: a provider, its words for odd states of a job, and whether a submit can be looked up there.

    `fields` are of the request, `odd` an undocumented status, `bare` one of success without a file, `queued` and `running` earlier
    ones; each as changes of the last answer to a poll.
    """

    name: str
    provider: str
    looks_up: bool = False
    script: tuple[Fault, ...] = ()
    fields: Mapping[str, Any] = attrs.field(factory=dict)
    odd: Mapping[str, Any]
    bare: Mapping[str, Any]
    queued: Mapping[str, Any]
    running: Mapping[str, Any]


_NO_FILES = {"imageUrl": None, "imageUrls": None, "r2Key": None}
_MEIGEN = Column(
    name="meigen",
    provider="meigen",
    looks_up=True,
    odd={"status": "simmering", **_NO_FILES},
    bare=_NO_FILES,
    queued={"status": "pending", **_NO_FILES},
    running={"status": "processing", **_NO_FILES},
)
_IMINI = Column(
    name="imini",
    provider="imini",
    fields={"resolution": "512"},
    odd={"status": "simmering", "images": None},
    bare={"images": []},
    queued={"status": "queued", "images": None},
    running={"status": "processing", "images": None},
)
_SSEEDANCE = Column(
    name="sseedance",
    provider="sseedance",
    fields={"size": "256x256"},
    odd={"data.status": "simmering", "data.imageUrls": []},
    bare={"data.imageUrls": []},
    queued={"data.status": "pending", "data.imageUrls": []},
    running={"data.status": "processing", "data.imageUrls": []},
)
_ACME = Column(
    name="acme",
    provider="acme",
    odd={"drawing.state": "simmering", "drawing.sheets": []},
    bare={"drawing.sheets": []},
    queued={"drawing.state": "queued", "drawing.sheets": []},
    running={"drawing.state": "drawing", "drawing.sheets": []},
)
_DEAF = Fault(step=Step.LOOK_UP, how=How.DROP, times=None)
_MEIGEN_DEAF = attrs.evolve(_MEIGEN, name="meigen, no look-up", looks_up=False, script=(_DEAF,))

ALL = (_MEIGEN, _IMINI, _SSEEDANCE, _ACME)
SUBMITTED = (_MEIGEN, _MEIGEN_DEAF, _IMINI, _SSEEDANCE, _ACME)
COLUMNS: Mapping[Step, tuple[Column, ...]] = {
    Step.SUBMIT: SUBMITTED,
    Step.LOOK_UP: (_MEIGEN,),
    Step.POLL: ALL,
    Step.FILE: ALL,
    Step.UPLOAD: (_MEIGEN,),
    Step.STORE: (_MEIGEN,),
    Step.PREPARE: (_ACME,),
    Step.CANCEL: (_ACME,),
}
"""With which services each step is tried: those that have it."""


@attrs.frozen(kw_only=True)
class Expect:
    """What must hold: the paid POSTs, the job's status on record, and what became of the file.

    `found` is the status where the service can be asked what became of a submit, and it made the job. `pause` is the least time, in
    seconds, between the first two requests of the step.
    """

    posts: int = 1
    status: JobStatus = JobStatus.SUCCEEDED
    found: JobStatus | None = None
    file: str | None = None
    pause: float = 0.0

    def cell(self, column: Column) -> str:
        """Return what the table says when it holds."""
        status = self.found if self.found is not None and column.looks_up else self.status
        return cell(self.posts, status, self.file)


def cell(posts: int, status: str, file: str | None) -> str:
    """Return an outcome as the table has it."""
    return file if file is not None and posts == 1 and status == JobStatus.SUCCEEDED else f"{posts} × {status}"


@attrs.frozen(kw_only=True)
class Scenario:
    """One row: `name` is in words and unique within its step. `state` takes a service's own words for a fault's `changes`.

    `pace` is how many of the service's seconds pass in one of ours. `quick` says whether the short run has it.
    """

    step: Step
    name: str
    faults: tuple[Fault, ...] = ()
    states: tuple[str, ...] = ()
    expect: Expect = Expect()
    door: Door = Door.OPEN
    pace: float = 1000.0
    quick: bool = False

    def script(self, column: Column) -> tuple[Fault, ...]:
        """Return what the service does, in its own words."""
        told = (Fault(step=self.step, how=How.EDIT, changes=getattr(column, state)) for state in self.states)
        return (*self.faults, *told, *column.script)


_HTML = {"content-type": "text/html; charset=utf-8"}
_PAGE = "<!doctype html><html><head><title>Just a moment...</title></head><body>Checking your browser</body></html>"
_SORRY = '{"error": {"message": "try again later", "code": "UNAVAILABLE"}}'
_AMBIGUOUS = (408, 409, 425, 500, 502, 503, 504)
_TOO_MANY = ({}, {"retry-after": "1"}, {"retry-after": "<date+2>"})
_TOO_MANY_NAMES = ("429", "429, Retry-After in seconds", "429, Retry-After as a date")
_UNKNOWN = Expect(status=JobStatus.UNKNOWN)
_FOUND = Expect(status=JobStatus.UNKNOWN, found=JobStatus.SUCCEEDED)
_NEVER_SENT = Expect(posts=0, status=JobStatus.FAILED)


def _answers(step: Step, status: int, *, times: int | None = 1, accepted: bool = False, **headers: str) -> Fault:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Fault(step=step, how=How.ANSWER, status=status, headers=named, body=_SORRY, times=times, accepted=accepted)


def _page(step: Step, *, times: int | None = 1, accepted: bool = False) -> Fault:
    return Fault(step=step, how=How.ANSWER, headers=_HTML, body=_PAGE, times=times, accepted=accepted)


# The submit.


def _submits() -> Iterator[Scenario]:
    yield Scenario(step=Step.SUBMIT, name="nothing goes wrong", quick=True)
    yield from (Scenario(step=Step.SUBMIT, name=name, door=door, expect=_NEVER_SENT) for name, door in _DOORS)
    yield from (Scenario(step=Step.SUBMIT, name=name, faults=(fault,), expect=_UNKNOWN) for name, fault in _unaccepted())
    for name, fault in _accepted():
        yield Scenario(step=Step.SUBMIT, name=name, faults=(fault,), expect=_FOUND, quick=name in _DECISIVE)
    for status in _AMBIGUOUS:
        yield _judged(f"{status}, not accepted", _answers(Step.SUBMIT, status), _UNKNOWN)
        yield _judged(f"{status}, accepted", _answers(Step.SUBMIT, status, accepted=True), _FOUND)
    yield from _refusals()
    yield _judged("a slow drip of bytes, in time", Fault(step=Step.SUBMIT, how=How.DRIP, seconds=1.0), Expect())
    mislabelled = Fault(step=Step.SUBMIT, how=How.EDIT, headers=_HTML)
    yield _judged("the answer says that it is HTML, and is not", mislabelled, Expect())


def _judged(name: str, fault: Fault, expect: Expect) -> Scenario:
    return Scenario(step=Step.SUBMIT, name=name, faults=(fault,), expect=expect, quick=name in _DECISIVE)


_DECISIVE = frozenset(
    {
        "accepted, and the answer lost",
        "accepted, and no answer in time",
        "503, accepted",
        "503, not accepted",
        "accepted, and truncated JSON",
        "accepted, and HTML with 200",
    }
)
"""What the check of the issue is about, and the short run has."""
_DOORS = (
    ("connections refused", Door.CLOSED),
    ("connections not taken", Door.MUTE),
    ("TLS handshake cut", Door.TLS_CUT),
    ("somebody else's certificate", Door.TLS_WRONG),
    ("no TLS where there should be", Door.TLS_PLAIN),
)


def _unaccepted() -> Iterator[tuple[str, Fault]]:
    for how, name in (
        (How.DROP_UNREAD, "dropped before it was read"),
        (How.DROP_MID_READ, "dropped in the middle of reading"),
        (How.DROP, "read, not accepted, dropped"),
        (How.STALL, "read, not accepted, no answer in time"),
        (How.GARBAGE, "an answer that is no HTTP"),
    ):
        yield name, Fault(step=Step.SUBMIT, how=how)
    yield "not accepted, HTML with 200", _page(Step.SUBMIT)
    for status in (302, 307, 308):
        yield f"{status} to another origin", Fault(step=Step.SUBMIT, how=How.REDIRECT, status=status)


def _accepted() -> Iterator[tuple[str, Fault]]:
    for how, name in (
        (How.DROP, "accepted, and the answer lost"),
        (How.STALL, "accepted, and no answer in time"),
        (How.CUT, "accepted, and reset in the middle of the answer"),
        (How.SHORT, "accepted, and closed in the middle of the answer"),
        (How.TRUNCATE, "accepted, and truncated JSON"),
    ):
        yield name, Fault(step=Step.SUBMIT, how=how, accepted=True)
    yield "accepted, and too slow a drip of bytes", Fault(step=Step.SUBMIT, how=How.DRIP, seconds=12.0)
    yield "accepted, and HTML with 200", _page(Step.SUBMIT, accepted=True)
    for name, body in (("an empty 200", ""), ("an empty object", "{}"), ("a list", "[1]"), ("null", "null")):
        yield f"accepted, and {name}", Fault(step=Step.SUBMIT, how=How.ANSWER, body=body, accepted=True)
    yield "503 with Retry-After, accepted", _answers(Step.SUBMIT, 503, accepted=True, retry_after="1")


def _refusals() -> Iterator[Scenario]:
    for name, headers in zip(_TOO_MANY_NAMES, _TOO_MANY, strict=True):
        fault = _answers(Step.SUBMIT, 429, **{key.replace("-", "_"): value for key, value in headers.items()})
        yield _judged(f"{name}, then accepted", fault, Expect(posts=2, pause=1.0))
    yield _judged("429, Retry-After an hour", _answers(Step.SUBMIT, 429, retry_after="3600"), Expect(status=JobStatus.FAILED))
    for status in (400, 402, 403, 422):
        yield _judged(f"{status}: refused", _answers(Step.SUBMIT, status), Expect(status=JobStatus.FAILED))


# What is asked before and beside it.


def _look_ups() -> Iterator[Scenario]:
    step = Step.LOOK_UP
    absent = '{"success": false, "error": "No generation was made for this request", "code": "request_not_found"}'
    for name, fault, expect in (
        ("503, then found", _answers(step, 503), Expect()),
        ("503 for ever", _answers(step, 503, times=None), _UNKNOWN),
        ("401 for ever", _answers(step, 401, times=None), _UNKNOWN),
        ("dropped, then found", Fault(step=step, how=How.DROP), Expect()),
        ("no answer in time, then found", Fault(step=step, how=How.STALL), Expect()),
        ("HTML with 200, then found", _page(step), Expect()),
        ("HTML with 200 for ever", _page(step, times=None), _UNKNOWN),
        ("302 to another origin, then found", Fault(step=step, how=How.REDIRECT, status=302), Expect()),
        ("not yet there twice, then found", Fault(step=step, how=How.ANSWER, status=404, body=absent, times=2), Expect()),
        ("never there, though it was made", Fault(step=step, how=How.ANSWER, status=404, body=absent, times=None), _UNKNOWN),
        ("no such endpoint", Fault(step=step, how=How.ANSWER, status=404, headers=_HTML, body=_PAGE, times=None), _UNKNOWN),
    ):
        lost = Fault(step=Step.SUBMIT, how=How.DROP, accepted=True)
        yield Scenario(step=step, name=name, faults=(lost, fault), expect=expect, quick=name == "503, then found")


def _before(step: Step) -> Iterator[Scenario]:
    """Yield what goes wrong before the submit, where nothing is paid for: it is made up for, or nothing is sent."""
    for name, fault, expect in (
        ("503, then well", _answers(step, 503), Expect()),
        ("503 for ever", _answers(step, 503, times=None), _NEVER_SENT),
        ("dropped, then well", Fault(step=step, how=How.DROP), Expect()),
        ("no answer in time, then well", Fault(step=step, how=How.STALL), Expect()),
        ("403", _answers(step, 403), _NEVER_SENT),
        ("302 to another origin", Fault(step=step, how=How.REDIRECT, status=302, times=None), _NEVER_SENT),
    ):
        yield Scenario(step=step, name=name, faults=(fault,), expect=expect, quick=name == "503, then well")


def _cancels() -> Iterator[Scenario]:
    step = Step.CANCEL
    for name, fault, expect in (
        ("well", None, Expect(status=JobStatus.CANCELLED)),
        ("503, not done", _answers(step, 503), Expect()),
        ("409, not done", _answers(step, 409), Expect()),
        # A DELETE that is dropped is made again by the HTTP library.
        ("dropped twice, not done", Fault(step=step, how=How.DROP, times=2), Expect()),
        ("done, and the answer lost", Fault(step=step, how=How.DROP, accepted=True), Expect(status=JobStatus.CANCELLED)),
        ("done, and HTML with 200", _page(step, accepted=True), Expect(status=JobStatus.CANCELLED)),
        ("302 to another origin", Fault(step=step, how=How.REDIRECT, status=302), Expect()),
    ):
        faults = () if fault is None else (fault,)
        yield Scenario(step=step, name=name, faults=faults, expect=expect, pace=2.0, quick=name == "503, not done")


# The poll.


def _polls() -> Iterator[Scenario]:
    for name, fault in _poll_faults():
        yield Scenario(step=Step.POLL, name=name, faults=(fault,), quick=name in _QUICK_POLLS)
    for name, headers in zip(_TOO_MANY_NAMES, _TOO_MANY, strict=True):
        fault = _answers(Step.POLL, 429, **{key.replace("-", "_"): value for key, value in headers.items()})
        yield Scenario(step=Step.POLL, name=name, faults=(fault,), expect=Expect(pause=1.0 if headers else 0.0))
    yield Scenario(step=Step.POLL, name="a status nobody knows, three times", states=("odd",) * 3, quick=True)
    yield Scenario(step=Step.POLL, name="done without a URL, three times", states=("bare",) * 3)
    yield Scenario(step=Step.POLL, name="running, then queued again", states=("queued", "running", "queued"))


_QUICK_POLLS = frozenset({"503, twice", "truncated JSON, twice", "404, twice", "HTML with 200, twice"})


def _poll_faults() -> Iterator[tuple[str, Fault]]:
    step = Step.POLL
    yield "connections refused for a second", Fault(step=step, how=How.REFUSE, seconds=1.0)
    yield "no answer in time", Fault(step=step, how=How.STALL)
    yield "a slow drip of bytes", Fault(step=step, how=How.DRIP, seconds=1.0)
    for how, name in (
        (How.DROP_UNREAD, "dropped before it was read"),
        (How.DROP_MID_READ, "dropped in the middle of reading"),
        (How.DROP, "read and dropped"),
        (How.CUT, "reset in the middle of the answer"),
        (How.SHORT, "closed in the middle of the answer"),
        (How.TRUNCATE, "truncated JSON"),
        (How.GARBAGE, "an answer that is no HTTP"),
    ):
        yield f"{name}, twice", Fault(step=step, how=how, times=2)
    yield "HTML with 200, twice", _page(step, times=2)
    yield "the answer says that it is HTML, and is not", Fault(step=step, how=How.EDIT, headers=_HTML)
    for name, body in (("an empty 200", ""), ("an empty object", "{}"), ("null", "null")):
        yield f"{name}, twice", Fault(step=step, how=How.ANSWER, body=body, times=2)
    for status in (400, 401, 403, 404, 408, 409, 410, 425, 500, 502, 503, 504):
        yield f"{status}, twice", _answers(step, status, times=2)
    yield "302 to another origin, twice", Fault(step=step, how=How.REDIRECT, status=302, times=2)


# The file.


def _files() -> Iterator[Scenario]:
    cut = Fault(step=Step.FILE, how=How.CUT)
    for name, faults in _right_files(cut):
        yield Scenario(step=Step.FILE, name=name, faults=faults, expect=Expect(file=RIGHT), quick=name in _QUICK_FILES)
    for name, faults in _refused_files(cut):
        yield Scenario(step=Step.FILE, name=name, faults=faults, expect=Expect(file=REFUSED), quick=name in _QUICK_FILES)


_QUICK_FILES = frozenset({"cut, and the file is another when it goes on", "HTML with 200", "cut twice"})


def _right_files(cut: Fault) -> Iterator[tuple[str, tuple[Fault, ...]]]:
    step = Step.FILE
    yield "dropped before it was read, twice", (Fault(step=step, how=How.DROP_UNREAD, times=2),)
    yield "read and dropped, twice", (Fault(step=step, how=How.DROP, times=2),)
    yield "no answer in time", (Fault(step=step, how=How.STALL),)
    yield "no more bytes from the middle on", (Fault(step=step, how=How.HANG),)
    yield "a slow drip of bytes", (Fault(step=step, how=How.DRIP, seconds=1.0),)
    yield "cut twice", (attrs.evolve(cut, share=0.3), attrs.evolve(cut, share=0.3))
    yield "short: closed before all announced bytes were sent", (Fault(step=step, how=How.SHORT),)
    yield "long: more bytes than announced", (Fault(step=step, how=How.LONG),)
    yield "the right file under a wrong type", (Fault(step=step, how=How.RELABEL, headers=_HTML),)
    yield "cut, and ranges are not known when it goes on", (cut, Fault(step=step, how=How.WHOLE))
    yield "cut, and the file is another when it goes on", (cut, Fault(step=step, how=How.CHANGED))
    yield "cut, and a part of another file is sent when it goes on", (cut, Fault(step=step, how=How.CHANGED, status=206))
    yield "cut, and 416 when it goes on", (cut, _answers(step, 416))
    yield "half the file, as if it were all", (Fault(step=step, how=How.TRUNCATE),)
    yield "half the file, without a length", (Fault(step=step, how=How.UNMEASURED),)
    yield "302 to another origin", (Fault(step=step, how=How.REDIRECT, status=302),)
    for status in (408, 425, 429, 500, 502, 503, 504):
        yield f"{status}, twice", (_answers(step, status, times=2),)
    yield "503, Retry-After in seconds", (_answers(step, 503, retry_after="1"),)


def _refused_files(cut: Fault) -> Iterator[tuple[str, tuple[Fault, ...]]]:
    step = Step.FILE
    yield "HTML with 200", (_page(step),)
    yield (
        "JSON with 200 that says it is a PNG",
        (Fault(step=step, how=How.ANSWER, headers={"content-type": "image/png"}, body=_SORRY),),
    )
    yield "an empty 200", (Fault(step=step, how=How.ANSWER, headers={"content-type": "image/png"}),)
    yield "compressed, though asked for as it is", (Fault(step=step, how=How.RELABEL, headers={"content-encoding": "br"}),)
    yield "half the file for ever, as if it were all", (Fault(step=step, how=How.TRUNCATE, times=5),)
    for status in (401, 403, 404, 410):
        yield f"{status}", (_answers(step, status),)
    yield "cut, and 404 when it goes on", (cut, _answers(step, 404))


SCENARIOS: tuple[Scenario, ...] = (
    *_submits(),
    *_look_ups(),
    *_polls(),
    *_files(),
    *_before(Step.PREPARE),
    *_before(Step.UPLOAD),
    *_before(Step.STORE),
    *_cancels(),
)
