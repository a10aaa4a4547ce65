"""The command line against the emulated services, in processes of its own."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest

PROMPT = "A lighthouse at dawn, waves breaking"

Genbridge = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(autouse=True)
def _state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENBRIDGE_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("PYTHONUNBUFFERED", "1")


@pytest.fixture
def genbridge() -> Genbridge:
    """Run the command line to its end."""

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, "-m", "genbridge", *words], capture_output=True, text=True, check=False, timeout=90)

    return run


@contextmanager
def running(*words: str) -> Iterator[subprocess.Popen[str]]:
    """Run the command line while the block runs."""
    process = subprocess.Popen(
        [sys.executable, "-m", "genbridge", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate(timeout=30)


def read_until(stream: IO[str] | None, words: str) -> str:
    """Return what a process prints up to the line with some words."""
    assert stream is not None
    said = ""
    while words not in said:
        line = stream.readline()
        assert line, f"it ended after: {said}"
        said += line
    return said


def test_one_command_makes_an_image_and_a_video(genbridge: Genbridge, tmp_path: Path) -> None:
    """Without a key and without a network; the paths are printed, and the files are what their names say."""
    out = tmp_path / "out"

    done = genbridge("generate", PROMPT, "--image", "--video", "--sandbox", "-o", str(out))

    assert 0 == done.returncode, done.stderr
    image, video, *_cover = map(Path, done.stdout.splitlines())
    assert (".png", b"\x89PNG", ".mp4", b"ftyp") == (image.suffix, image.read_bytes()[:4], video.suffix, video.read_bytes()[4:8])
    assert {out} == {image.parent, video.parent}
    assert PROMPT == json.loads(image.with_name(f"{image.name}.json").read_text())["request"]["prompt"]


def test_a_job_is_collected_by_another_process(genbridge: Genbridge, tmp_path: Path) -> None:
    """By the beginning of its id."""
    sent = genbridge("generate", PROMPT, "--sandbox", "--no-wait")
    job_id = sent.stdout.strip()
    assert f"collect with: genbridge --sandbox jobs wait {job_id}" in sent.stderr

    done = genbridge("jobs", "wait", job_id[:12], "--sandbox", "-o", str(tmp_path), "--json")

    (job,) = json.loads(done.stdout)["jobs"]
    assert (0, job_id, "succeeded") == (done.returncode, job["id"], job["status"])
    assert [b"\x89PNG"] == [Path(path).read_bytes()[:4] for path in job["paths"]]


def test_an_interrupted_job_is_on_record_and_can_be_collected(genbridge: Genbridge, tmp_path: Path) -> None:
    """Ctrl-C says how, in one line, and that line works."""
    with running("generate", PROMPT, "--video", "--sandbox") as process:
        read_until(process.stderr, ": queued, job")
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
    advice = said.splitlines()[-1]

    done = genbridge(*advice.partition("collect it with: genbridge ")[2].split(), "-o", str(tmp_path))

    assert 130 == process.returncode
    assert advice.startswith("interrupted; the job goes on, collect it with: genbridge --sandbox jobs wait ")
    assert "Traceback" not in said
    assert (0, ".mp4") == (done.returncode, Path(done.stdout.splitlines()[0]).suffix)


def test_a_request_that_no_backend_can_do_is_not_sent(genbridge: Genbridge) -> None:
    """Every problem is a line."""
    done = genbridge("generate", PROMPT, "--video", "--sandbox", "-b", "imini", "--duration", "99", "--aspect-ratio", "7:5")

    assert (2, "") == (done.returncode, done.stdout)
    assert ["  aspect_ratio:", "  duration:"] == sorted(line.partition(": ")[0] + ":" for line in done.stderr.splitlines()[2:])
    assert "no job is on record\n" == genbridge("jobs", "list", "--sandbox").stderr


def test_models_and_backends_of_the_sandbox_are_listed(genbridge: Genbridge) -> None:
    """From the emulated services themselves."""
    models = json.loads(genbridge("models", "--sandbox", "--json").stdout)
    backends = json.loads(genbridge("backends", "--sandbox", "--json").stdout)["backends"]

    assert [] == models["errors"]
    assert {"imini", "meigen", "sseedance"} == {model["backend"] for model in models["models"]}
    assert {"imini", "meigen", "sseedance"} == {backend["name"] for backend in backends}
    assert all(backend["base_url"].startswith("http://127.0.0.1:") for backend in backends)


@pytest.mark.parametrize("asked", [signal.SIGINT, signal.SIGTERM])
def test_the_served_sandbox_can_be_pasted_into_a_configuration(genbridge: Genbridge, tmp_path: Path, asked: signal.Signals) -> None:
    """All that is on stdout; it serves until it is asked to stop, which is no error."""
    with running("sandbox") as process:
        lines = read_until(process.stdout, "# export MEIGEN_BASE_URL=http://127.0.0.1:")
        read_until(process.stderr, "serving")
        file = tmp_path / "genbridge.toml"
        file.write_text(lines)
        here = ("--config", str(file), "--journal", str(tmp_path / "j.db"))
        made = genbridge(*here, "generate", PROMPT, "-b", "imini", "-o", str(tmp_path))
        process.send_signal(asked)
        assert "" == process.stdout.read()  # type: ignore[union-attr]
        assert 0 == process.wait(timeout=30)

    assert {"imini", "meigen", "sseedance"} == set(tomllib.loads(file.read_text())["backends"])
    assert "# jobs made with these lines are recorded in the ordinary journal, with all others" in lines
    assert "IMINI_API_KEY" not in lines
    assert (0, ".png") == (made.returncode, Path(made.stdout.strip()).suffix)


def test_one_command_says_what_a_refused_job_did_not_cost(genbridge: Genbridge) -> None:
    """Nothing was started."""
    done = genbridge("generate", "A storm [refuse]", "-b", "meigen", "--sandbox")

    assert 4 == done.returncode
    assert done.stderr.splitlines()[-2].endswith(": failed after 0:00, 0 credits")


def test_a_port_that_is_taken_is_told(genbridge: Genbridge) -> None:
    """With the setup code."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = genbridge("sandbox", "--port-base", str(port))

    assert 3 == done.returncode
    assert f"on port {port}" in done.stderr
