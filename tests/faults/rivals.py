"""The same faults of a submit with the clients that people use today, each by the interpreter that has it; their real counts."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path

import attrs
from script import Fault, How, Step
from service import Service

HERE = Path(__file__).parent / "peers"
BOUND = 90.0
"""Seconds after which a client that still goes on is stopped."""
CALL_SECONDS = 2.0
"""The time limit that each client is given for a call."""


@attrs.frozen(kw_only=True)
class Named:
    """A fault of the submit, and the scenario that tries the same with genbridge."""

    scenario: str
    how: How
    status: int = 200
    body: str = ""
    content_type: str = "application/json"

    def script(self) -> tuple[Fault, ...]:
        """Return what the service does: it makes a job of every POST, and the client gets this for as long as it tries."""
        headers = {"content-type": self.content_type}
        how = {"how": self.how, "status": self.status, "body": self.body, "headers": headers}
        return (Fault(step=Step.SUBMIT, accepted=True, times=None, **how),)


SOUND = "none"
_SORRY = '{"error": {"message": "try again later"}}'
_PAGE = "<!doctype html><html><body>Just a moment...</body></html>"
FAULTS: Mapping[str, Named] = {
    SOUND: Named(scenario="nothing goes wrong", how=How.EDIT),
    "lost": Named(scenario="accepted, and the answer lost", how=How.DROP),
    "stall": Named(scenario="accepted, and no answer in time", how=How.STALL),
    "503": Named(scenario="503, accepted", how=How.ANSWER, status=503, body=_SORRY),
    "garbage": Named(scenario="accepted, and HTML with 200", how=How.ANSWER, body=_PAGE, content_type="text/html"),
}
"""The faults by the words of the table; the first is none, to show that one is counted as one."""


@attrs.frozen(kw_only=True)
class Rival:
    """One way to submit with a client: `package` is what pip installs, `call` what is called, `service` what it speaks to."""

    package: str
    call: str
    service: str
    script: str
    words: tuple[str, ...] = ()


_ROUTER = {"package": "litellm", "service": "openai", "script": "ask_litellm.py"}
RIVALS = (
    Rival(package="openai", call="`images.generate`", service="openai", script="ask_openai.py", words=("images",)),
    Rival(package="openai", call="`videos.create`", service="openai", script="ask_openai.py", words=("videos",)),
    Rival(package="fal-client", call="`submit`", service="fal", script="ask_fal.py"),
    Rival(**_ROUTER, call="`Router.image_generation`", words=("plain",)),
    Rival(**_ROUTER, call="`Router.image_generation`, one fallback", words=("fallback",)),
)


@attrs.frozen(kw_only=True)
class Count:
    """What one client did at one fault: its POSTs, and how the call ended."""

    rival: Rival
    fault: str
    posts: int
    version: str
    ended: str

    @property
    def cell(self) -> str:
        """What the table says."""
        return f"{self.posts}, and was still at it" if self.ended == "stopped" else str(self.posts)


async def count_all(pythons: Mapping[str, str]) -> list[Count]:
    """Run every client whose interpreter is given, at every fault; all at once, as they mostly wait."""
    rivals = [rival for rival in RIVALS if rival.package in pythons]
    turns = asyncio.Semaphore(6)
    with Service() as service:

        async def one(rival: Rival, fault: str) -> Count:
            async with turns:
                return await _count(service, rival, fault, pythons[rival.package])

        return await asyncio.gather(*(one(rival, fault) for rival in rivals for fault in FAULTS))


async def _count(service: Service, rival: Rival, fault: str, python: str) -> Count:
    stand = service.stand(rival.service, script=FAULTS[fault].script())
    words = (str(HERE / rival.script), stand.base_url, stand.key, str(CALL_SECONDS), *rival.words)
    process = await asyncio.create_subprocess_exec(
        python, "-I", *words, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(BOUND):
            said, complaint = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        return Count(rival=rival, fault=fault, posts=stand.report().posts.total(), version="", ended="stopped")
    if process.returncode:
        raise RuntimeError(f"{rival.package} could not be asked: {complaint.decode(errors='replace')[-2000:]}")
    return Count(rival=rival, fault=fault, posts=stand.report().posts.total(), **json.loads(said.decode().splitlines()[-1]))
