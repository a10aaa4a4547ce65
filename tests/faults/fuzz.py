"""Look for input that breaks what reads it: `python fuzz.py [--quick] [--minutes M] [target …]`.

atheris makes up the bytes and follows where they lead in the code; where it is not installed (it has wheels for some Pythons and
platforms only), Hypothesis makes them up, which sees less. The judges are those of the tests, in `tests/fakes/judges.py`. The time,
ten minutes by default and less than one with `--quick`, is shared by all targets. What is found is printed with the input, and the
exit code is then 1.
"""

from __future__ import annotations

import argparse
import importlib.util
import logging
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from math import ceil
from pathlib import Path
from typing import Any

import attrs

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "fakes")]

_PACKAGES = ("genbridge", "genbridge_imini", "genbridge_meigen", "genbridge_sseedance")
_QUICK = 40.0
_START_UP = 5.0
"""Seconds that a process of atheris takes before it begins."""
_AT_ONCE = 2
"""How many of them run at the same time."""
_LONGEST_INPUT = 4096
_AT_A_TIME = 500
_SHOWN = 2000

Target = Callable[[bytes], None]


# The targets.


def targets() -> dict[str, Target]:
    """Return what is fed with bytes, by name."""
    import judges
    from inputs import Bytes, reply

    folder = Path(tempfile.mkdtemp(prefix="fuzz-"))
    logging.disable(logging.CRITICAL)

    def replies(name: str, data: bytes) -> None:
        judges.judge_reply(name, reply(name, data))

    def toml(data: bytes) -> None:
        path = folder / "genbridge.toml"
        path.write_bytes(data)
        judges.judge_config(data.decode("utf-8-sig", "replace"), path=path)

    def retry_after(data: bytes) -> None:
        source = Bytes(data)
        received = source.pick((None, 0.0, 1.8e9, 1e18))
        value, _, date = source.rest().decode("latin-1").partition("\n")
        judges.judge_retry_after(value, date, received)

    def texts(judge: Callable[[str], None], data: bytes) -> None:
        judge(data.decode("utf-8", "surrogateescape"))

    return {
        **{f"replies of {name}": partial(replies, name) for name in judges.PROVIDERS},
        "configuration": toml,
        "Retry-After": retry_after,
        "sidecars": partial(judges.judge_sidecar, folder=folder),
        "links": partial(texts, judges.judge_link),
        "addresses in replies": partial(texts, judges.judge_location),
        "references": partial(texts, judges.judge_reference),
    }


def seeds() -> Mapping[str, Sequence[bytes]]:
    """Return good inputs to begin with, by target."""
    dates = b"Sun, 06 Nov 1994 08:49:37 GMT"
    return {
        "replies of imini": [
            b'\x00\x00\x00\x01{"task_id": "t", "status": "succeeded", "images": [{"url": "https://x/1.png", "width": 1}]}',
            b'\x06\x00\x00\x01{"error": {"code": "INSUFFICIENT_CREDITS", "message": "no", "status": 402}}',
        ],
        "replies of meigen": [
            b'\x00\x00\x00\x01{"success": true, "generationId": "g", "status": "completed", "imageUrls": ["https://x/1.png"]}',
            b'\x00\x00\x00\x01{"success": false, "error": "Insufficient credits", "code": "insufficient_credits"}',
            b'\x00\x00\x00\x01{"models": [{"id": "m", "name": "M", "mediaType": "image", "credits": 5}]}',
            b'\x00\x00\x00\x01{"success": true, "presignedUrl": "https://x/p", "publicUrl": "https://x/q"}',
            b'\x0a\x00\x00\x01{"success": false, "code": "request_not_found"}',
        ],
        "replies of sseedance": [
            b'\x00\x00\x00\x01{"code": 200, "data": [{"id": "t", "status": "success", "imageUrls": ["https://x/1.png"]}]}',
            b'\x00\x00\x00\x01{"code": -1, "message": "insufficient credits"}',
        ],
        "configuration": [
            (
                b'default = "a"\n[backends.a]\nprovider = "imini"\napi_key = "env:K"\nbase_url = "https://x/y"\n'
                b"max_concurrent = 3\n[backends.a.poll]\ninterval = 2.0\nlearn = false\n[backends.a.budget]\nper_job = 5\n"
                b'[routes.r]\nbackends = ["a"]\n'
                b'[journal]\npath = "x.db"\n[downloads]\nmax_bytes = 5\n'
            ),
            b'[backends."b c"]\nprovider = "meigen"\napi_key = "sk-fuzz/0123456789"\nlimits = { image = { submits = 3 } }\n',
        ],
        "Retry-After": [b"\x0012", b"\x02" + dates + b"\n" + dates, b"\x02Fri, 31 Dec 9999 23:59:59 -2359"],
        "sidecars": [b'{"job_id": "job-1", "bytes": 6, "sha256": "x"}', b"[1]", b"{"],
        "links": [b"https://a.example/x?y#z", b"http://127.0.0.1:1/x", b"https://u:p@h/", b"https://[::ffff:10.0.0.1]/", b"//e"],
        "addresses in replies": [b"https://www.meigen.ai/x", b"/login?next=/", b"https://u:p@h:1/", b"//h/x", b"https://[::1]@"],
        "references": [b"https://a.example/x.png:style", b"x.png:first_frame", b"x.mp4:extend:4.5", b"http://[::1]/x", b"data:,x"],
    }


def words_of(name: str) -> Iterator[bytes]:
    """Yield what an input of a target may be made of."""
    from inputs import vocabulary
    from judges import FORMS

    yield from (form.encode() for form in FORMS)
    provider = name.removeprefix("replies of ")
    if provider != name:
        yield from (f'"{word}"'.encode() for word in vocabulary(provider) if word.isascii() and word.isprintable())
    yield from (b"\\ud800", b"1e999", b"null", b"true", b"https://", b"127.1", b"0x7f.1", b"169.254.169.254", b"[::ffff:", b"%00")


# atheris.


@attrs.frozen(kw_only=True)
class Found:
    """What came of one target: how many inputs, over how many places in the code, and what broke, if anything did."""

    target: str
    inputs: int
    places: int | None = None
    broke: str = ""


def hunt(name: str, seconds: float) -> None:
    """Feed one target with atheris until the time is over or something breaks; does not return."""
    import atheris

    with watching(atheris):
        target = targets()[name]
    folder = Path(tempfile.mkdtemp(prefix="fuzz-corpus-"))
    for number, seed in enumerate(seeds()[name]):
        (folder / str(number)).write_bytes(seed)
    words = folder.with_suffix(".dict")
    words.write_bytes(b"".join(b'"' + _quoted(word) + b'"\n' for word in words_of(name)))
    options = [
        f"-max_total_time={seconds:.0f}",
        f"-max_len={_LONGEST_INPUT}",
        f"-artifact_prefix={folder}/broke-",
        f"-dict={words}",
    ]
    atheris.Setup([sys.argv[0], *options, "-timeout=20", "-rss_limit_mb=2048", str(folder)], target)
    atheris.Fuzz()


def watching(atheris: Any) -> AbstractContextManager[Any]:
    """Have the packages' code watched, when it is imported within."""
    loaded = [name for name in sys.modules if name.partition(".")[0] in _PACKAGES]
    return nullcontext() if loaded else atheris.instrument_imports(include=list(_PACKAGES))


def _quoted(word: bytes) -> bytes:
    return b"".join(bytes([byte]) if 32 <= byte < 127 and byte not in b'"\\' else f"\\x{byte:02x}".encode() for byte in word)


def with_atheris(name: str, seconds: float) -> Found:
    """Hunt in a process of its own, as atheris ends the one it runs in."""
    command = [sys.executable, str(Path(__file__).resolve()), "--hunt", name, "--seconds", str(seconds)]
    run = subprocess.run(command, capture_output=True, text=True, errors="backslashreplace", timeout=seconds + 120, check=False)
    said = run.stdout + run.stderr
    inputs, places = _last(r"^#(\d+)\s", said) or _last(r"Done (\d+) runs", said), _last(r"\bcov: (\d+)", said)
    return Found(target=name, inputs=inputs or 0, places=places, broke=_trouble(said) if run.returncode else "")


def _last(pattern: str, said: str) -> int | None:
    found = re.findall(pattern, said, re.MULTILINE)
    return int(found[-1]) if found else None


def _trouble(said: str) -> str:
    """Return what was printed of what broke: the traceback, and the input where it was kept."""
    kept = re.search(r"Test unit written to (\S+)", said)
    data = Path(kept[1]).read_bytes() if kept else b""
    _, _, trouble = said.partition(" === Uncaught Python exception: ===")
    return f"{(trouble or said[-_SHOWN:]).partition('INFO: ')[0].strip()[:_SHOWN]}\ninput: {data!r}"


# Hypothesis.


def with_hypothesis(name: str, seconds: float) -> Found:
    """Feed one target with what Hypothesis makes up, until the time is over or something breaks."""
    from hypothesis import HealthCheck, given, seed, settings
    from hypothesis import strategies as st

    target, good = targets()[name], seeds()[name]
    words = list(words_of(name))
    pieces = st.lists(st.binary(max_size=8) | st.sampled_from(words), max_size=24).map(b"".join)
    data = st.binary(max_size=300) | pieces | st.sampled_from(good) | st.builds(bytes.__add__, st.sampled_from(good), pieces)
    tried = 0

    def attempt(made: bytes) -> None:
        nonlocal tried
        tried += 1
        target(made)

    checks = settings(max_examples=_AT_A_TIME, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    end, number = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        number += 1
        try:
            seed(number)(checks(given(data)(attempt)))()
        except Exception as error:  # noqa: BLE001 (whatever it is, it was found)
            notes = "\n".join(getattr(error, "__notes__", ()))
            return Found(target=name, inputs=tried, broke=f"{type(error).__name__}: {error}\n{notes}")
    return Found(target=name, inputs=tried)


# All of it.


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line asks for; return the exit code."""
    options = _options(arguments)
    if options.hunt:
        hunt(options.hunt, options.seconds)
    names = options.target or list(seeds())
    whole = _QUICK if options.quick else options.minutes * 60
    able = importlib.util.find_spec("atheris") is not None and not options.without_atheris
    at_once = _AT_ONCE if able else 1
    share = max(1.0, whole / ceil(len(names) / at_once) - (_START_UP if able else 0.0))
    _say(f"{'atheris' if able else 'Hypothesis, as atheris is not installed,'} has {share:.0f} s for each of {len(names)} targets")
    feed = with_atheris if able else with_hypothesis
    with ThreadPoolExecutor(at_once) as pool:
        found = [_report(each) for each in pool.map(lambda name: feed(name, share), names)]
    broken = [each for each in found if each.broke]
    _say(f"{len(found)} targets, {sum(each.inputs for each in found)} inputs, {len(broken)} broken")
    return 1 if broken else 0


def _report(found: Found) -> Found:
    over = "" if found.places is None else f" over {found.places} places in the code"
    _say(f"{found.target}: {found.inputs} inputs{over}{', and one breaks it:' if found.broke else ', and nothing breaks'}")
    if found.broke:
        _say(found.broke)
    return found


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Look for input that breaks what reads it.")
    parser.add_argument("target", nargs="*", choices=[[], *seeds()], help="what to feed; all of them by default")
    parser.add_argument("--quick", action="store_true", help="less than a minute for all")
    parser.add_argument("--minutes", type=float, default=10.0, help="for all (default: 10)")
    parser.add_argument("--without-atheris", action="store_true", help="use Hypothesis")
    parser.add_argument("--hunt", help=argparse.SUPPRESS)
    parser.add_argument("--seconds", type=float, default=0.0, help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
