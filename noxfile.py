"""The project's commands: `nox` runs all of them, `nox -s lint` one.

Everything but `lint` runs against the built wheel, as users get it.
"""

from __future__ import annotations

import shutil
import sys
from itertools import chain
from pathlib import Path

import nox
from packaging.requirements import Requirement

nox.needs_version = ">=2025.5.1"
nox.options.default_venv_backend = "virtualenv"
nox.options.download_python = "never"
nox.options.error_on_missing_interpreters = False

ROOT = Path(__file__).parent
DIST = ROOT / "dist"
PYPROJECT = nox.project.load_toml("pyproject.toml")
PYTHONS = nox.project.python_versions(PYPROJECT)

CURRENT = f"{sys.version_info.major}.{sys.version_info.minor}"
COVERED = CURRENT if CURRENT in PYTHONS else PYTHONS[0]
"""The Python that coverage is measured on: the one nox runs on, as that one is surely there."""

HARNESSES = ROOT / "tests" / "faults"
PEERS = ("openai", "fal-client", "litellm")
"""What people use today, to be put to the same faults."""

BENCH = ROOT / "tests" / "bench"
RIVALS = ("openai[aiohttp]", "litellm", "fal-client", "replicate", "google-genai<3")
"""What people use today, to be measured at the same jobs; as `tests/bench/contests.py` names them."""

INSTALLED_ONLY = {"PYTHONSAFEPATH": "1"}
"""Keeps the working directory, and so the sources, off the import path, in subprocesses too."""


def install(session: nox.Session, *groups: str, extras: str = "") -> None:
    """Install the wheel and some of the dependency groups in `pyproject.toml`."""
    (wheel,) = DIST.glob("*.whl")
    session.install(f"{wheel}{extras}", *nox.project.dependency_groups(PYPROJECT, *groups))


def minimums() -> list[str]:
    """Return `name==version` for the lowest version of each dependency that `pyproject.toml` allows."""
    project = PYPROJECT["project"]
    declared = map(Requirement, chain(project["dependencies"], *project["optional-dependencies"].values()))
    return [f"{need.name}=={bound.version}" for need in declared for bound in need.specifier if bound.operator == ">="]


def run_tests(session: nox.Session, *command: str) -> None:
    """Run pytest on as many cores as there are; arguments after `--` are passed on."""
    session.run(*command, "-n", "auto", "--maxprocesses", "8", *session.posargs, env=INSTALLED_ONLY)


@nox.session(default=False)
def build(session: nox.Session) -> None:
    """Build the sdist, and the wheel from it, and check both."""
    shutil.rmtree(DIST, ignore_errors=True)
    session.install(*nox.project.dependency_groups(PYPROJECT, "package"))
    session.run("python", "-m", "build", "--outdir", str(DIST))
    files = [str(path) for path in DIST.iterdir()]
    session.run("twine", "check", "--strict", *files)
    session.run("check-wheel-contents", str(DIST))


@nox.session
def lint(session: nox.Session) -> None:
    """Check style and format; `nox -s lint -- --fix` mends what it can."""
    session.install(*nox.project.dependency_groups(PYPROJECT, "lint"))
    session.run("ruff", "check", *session.posargs)
    session.run("ruff", "format", *([] if "--fix" in session.posargs else ["--check"]))


@nox.session(requires=["build"])
def typing(session: nox.Session) -> None:
    """Check types: mypy on the code, mypy and pyright on how users call it."""
    install(session, "test", "typing", extras="[cli,distributed]")
    session.run("mypy", "genbridge", "providers", "noxfile.py")
    session.run("mypy", "tests/typing")
    session.run("pyright")


@nox.session(requires=["build"])
def docs(session: nox.Session) -> None:
    """Build the documentation into `docs/_build/html`; a warning is an error."""
    install(session, "docs", extras="[cli,distributed]")
    session.run("sphinx-build", "-W", "-n", "--keep-going", "-b", "html", "docs", "docs/_build/html", env=INSTALLED_ONLY)


@nox.session(requires=["build"])
def package(session: nox.Session) -> None:
    """Use the wheel alone, without extras, in an environment with nothing else."""
    install(session)
    session.run("python", "-c", "import genbridge, genbridge_imini, genbridge_meigen, genbridge_sseedance", env=INSTALLED_ONLY)
    said = session.run("genbridge", "--version", env=INSTALLED_ONLY, silent=True, success_codes=[3])
    if "genbridge[cli]" not in str(said):
        session.error(f"without click, genbridge should say how to install it; it said: {said}")


@nox.session(python=PYTHONS, requires=["build"])
def tests(session: nox.Session) -> None:
    """Test the wheel on each installed Python, and measure coverage on one."""
    install(session, "test", extras="[cli,distributed]")
    if session.python != COVERED:
        run_tests(session, "pytest")
        return
    session.run("coverage", "erase")
    run_tests(session, "coverage", "run", "-m", "pytest")


@nox.session(python=PYTHONS[0], requires=["build"])
def tests_oldest(session: nox.Session) -> None:
    """Test the wheel with the lowest version of every dependency."""
    constraints = Path(session.create_tmp(), "minimums.txt")
    constraints.write_text("\n".join(minimums()))
    session.env["PIP_CONSTRAINT"] = str(constraints)
    install(session, "test", extras="[cli,distributed]")
    run_tests(session, "pytest")


@nox.session(python=COVERED, requires=[f"tests-{COVERED}"])
def coverage(session: nox.Session) -> None:
    """Say which lines and branches no test has run; fail when they are too many."""
    session.install(*[need for need in nox.project.dependency_groups(PYPROJECT, "test") if need.startswith("coverage")])
    session.run("coverage", "combine")
    session.run("coverage", "report")


def run_harness(session: nox.Session, script: str, *arguments: str) -> None:
    """Run a script of the harnesses against the wheel: its own folder is on the import path, and the sources are not."""
    session.run("python", str(HARNESSES / script), *arguments)


def peer(session: nox.Session, name: str) -> str:
    """Install another client in an environment of its own, and return the option that names its interpreter."""
    place = Path(session.create_tmp(), Requirement(name).name)
    python = place / "bin" / "python"
    if not python.exists():
        session.run("python", "-m", "venv", str(place))
    session.run(str(python), "-m", "pip", "install", "--quiet", name, external=True)
    return f"--peer={name}={python}"


@nox.session(python=COVERED, default=False, requires=["build"])
def faults(session: nox.Session) -> None:
    """Break every step of a job in every way, and count; `-- --quick` in a minute, without the other clients."""
    install(session, "test", extras="[cli,distributed]")
    peers = [] if "--quick" in session.posargs else [peer(session, name) for name in PEERS]
    run_harness(session, "faults.py", *peers, *session.posargs)


@nox.session(python=COVERED, default=False, requires=["build"])
def crash(session: nox.Session) -> None:
    """Kill programs at every point, share and damage their journals, and count; `-- --quick` in a few minutes."""
    install(session, "test", extras="[cli,distributed]")
    run_harness(session, "crash.py", *session.posargs)
    run_harness(session, "kill_batch.py", *session.posargs)
    run_harness(session, "shared.py", "pace", *session.posargs)
    run_harness(session, "shared.py", "cap", *session.posargs)
    run_harness(session, "storage.py", *session.posargs)


@nox.session(python=COVERED, default=False, requires=["build"])
def fleet(session: nox.Session) -> None:
    """Kill, stop, cut off and drain workers on one PostgreSQL database, and count; `-- --quick` in a few minutes."""
    install(session, "test", extras="[cli,distributed]")
    run_harness(session, "fleet.py", "all", *session.posargs)


@nox.session(python=COVERED, default=False, requires=["build"])
def fleet_cost(session: nox.Session) -> None:
    """Measure what a job costs with a worker and PostgreSQL, beside one process; `-- --quick` in a minute. It needs PostgreSQL."""
    install(session, extras="[cli,distributed]")
    session.run("python", str(BENCH / "fleet.py"), *session.posargs)


@nox.session(python=COVERED, default=False, requires=["build"])
def fuzz(session: nox.Session) -> None:
    """Feed nonsense to whatever reads something from outside, for ten minutes; `-- --quick` in less than one."""
    install(session, "test", extras="[cli,distributed]")
    # There is not a wheel for every Python and system; the harness does with Hypothesis then, and says so.
    session.run("python", "-m", "pip", "install", "--quiet", "--only-binary=:all:", "atheris", success_codes=[0, 1])
    run_harness(session, "fuzz.py", *session.posargs)


@nox.session(python=COVERED, default=False, requires=["build"])
def bench(session: nox.Session) -> None:
    """Measure genbridge beside the bare protocol and other clients; `-- --quick` in two minutes, without the other clients."""
    install(session, extras="[cli,distributed]")
    peers = [] if "--quick" in session.posargs else [peer(session, name) for name in RIVALS]
    session.run("python", str(BENCH / "bench.py"), "--folder", session.create_tmp(), *peers, *session.posargs)
