"""A provider that somebody else publishes: built as a distribution of its own, installed beside genbridge, and used."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

ACME = Path(__file__).parent / "thirdparty" / "genbridge-acme"


def run(*command: str, **variables: str) -> str:
    """Run a command of this Python and return what it prints."""
    done = subprocess.run(
        [sys.executable, *command], env=os.environ | variables, capture_output=True, text=True, timeout=110, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the distribution's wheel."""
    place = tmp_path_factory.mktemp("dist")
    run("-m", "build", "--wheel", "--no-isolation", "--outdir", str(place), str(ACME))
    (built,) = place.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def site(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel into a directory of its own."""
    place = tmp_path_factory.mktemp("site")
    run("-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--target", str(place), str(wheel))
    return place


def beside(site: Path, where: Path, code: str, **variables: str) -> Any:
    """Run a program with the distribution installed beside genbridge, and return the JSON that it prints last."""
    program = where / "program.py"
    program.write_text(dedent(code))
    return json.loads(run(str(program), PYTHONPATH=str(site), **variables).splitlines()[-1])


def test_the_wheel_has_the_package_and_its_entry_point(site: Path) -> None:
    """What is installed is what the sources say."""
    assert {"__init__.py", "_emulator.py", "py.typed"} <= {path.name for path in (site / "genbridge_acme").iterdir()}
    (entry_points,) = site.glob("genbridge_acme-1.2.0.dist-info/entry_points.txt")
    assert "[genbridge.providers]\nacme = genbridge_acme" in entry_points.read_text()


def test_it_is_found_by_its_entry_point(site: Path, tmp_path: Path) -> None:
    """Its name is there beside genbridge's own, and the package that it is from is known."""
    code = """
        import json
        from genbridge import plugins

        names = plugins.installed.names()
        acme = plugins.installed.load("acme")
        print(json.dumps([names, acme.package, acme.provider.unit, acme.supports("cancel"), acme.supports("recover")]))
    """
    names, *facts = beside(site, tmp_path, code)
    assert {"acme", "imini", "meigen", "sseedance"} <= set(names)
    assert ["genbridge-acme", "acorns", True, False] == facts


def test_it_keeps_the_contract(site: Path, tmp_path: Path) -> None:
    """Its author would run the conformance kit, by the provider's name."""
    code = """
        import json
        from genbridge import ImageRequest
        from genbridge.testing import check_provider, drive

        check_provider("acme", examples=[ImageRequest("a cat", options={"ink": "gold"}), ImageRequest("a cat", aspect_ratio="3:2")])
        import genbridge_acme

        print(json.dumps([snapshot.status for snapshot in drive(genbridge_acme, None, ImageRequest("a cat [fail]"))]))
    """
    assert ["queued", "running", "running", "running", "failed"] == beside(site, tmp_path, code)


def test_it_is_used_by_a_config_file(site: Path, tmp_path: Path) -> None:
    """A backend's table names it and where its stand-in listens; the picture ends on disk, and the price in the result."""
    code = """
        import asyncio, json
        from pathlib import Path
        from genbridge import Client, ImageRequest
        from genbridge.plugins import installed
        from genbridge.sandbox import Sandbox

        CONFIG = '''
        [backends.sketches]
        provider = "acme"
        api_key = "env:SKETCH_KEY"
        base_url = "{base_url}"
        workspace = "studio"

        [backends.sketches.poll]
        interval = 0.05
        '''

        async def main():
            async with Sandbox.of([installed.load("acme")], speed=100) as sandbox:
                path = Path(__file__).with_name("genbridge.toml")
                path.write_text(CONFIG.format(base_url=sandbox.base_url("acme")))
                async with Client(path, journal=None) as client:
                    request = ImageRequest("a fox", aspect_ratio="3:2")
                    result = await client.generate(request)
                    paths = await client.download(result, path.with_name("out"))
                    return [result.backend, result.provider, result.model, str(result.cost), [str(path) for path in paths]]

        print(json.dumps(asyncio.run(main())))
    """
    *facts, paths = beside(site, tmp_path, code, SKETCH_KEY="acme-sandbox-key")
    assert ["sketches", "acme", "acme-sketch", "1 acorns"] == facts
    (path,) = paths
    assert Path(path).read_bytes().startswith(b"\x89PNG")


def test_it_is_used_in_the_sandbox(site: Path, tmp_path: Path) -> None:
    """`Client.sandbox()` runs its emulator beside the others; its own way to cancel works there, and its refusals are told."""
    code = """
        import asyncio, json
        from genbridge import Client, ImageRequest, InvalidRequestError, JobCancelledError, RequestError

        async def main():
            async with Client.sandbox(speed=50) as client:
                result = await client.generate(ImageRequest("a fox", options={"ink": "gold"}), backend="acme")
                handle = await client.submit(ImageRequest("a hare"), backend="acme")
                await handle.cancel()
                said = []
                try:
                    await handle.result(timeout=60)
                except JobCancelledError as error:
                    said.append(type(error).__name__)
                for request in (ImageRequest("[refuse]"), ImageRequest("a fox", aspect_ratio="2:3", options={"ink": "gold"})):
                    try:
                        await client.submit(request, backend="acme")
                    except (InvalidRequestError, RequestError) as error:
                        said.append(str(error).splitlines()[-1].strip())
                return [str(result.cost), len(result.assets), *said]

        print(json.dumps(asyncio.run(main())))
    """
    expected = [
        "5 acorns",
        1,
        "JobCancelledError",
        "backend 'acme': Acme does not draw that",
        "aspect_ratio: gold ink is for 1:1 only",
    ]
    assert expected == beside(site, tmp_path, code)
