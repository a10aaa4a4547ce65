"""`python -m genbridge`, and the `genbridge` command."""

from __future__ import annotations

import sys
from importlib import import_module

_NEEDED = ("click", "rich")
_SETUP = 3
"""`genbridge.cli.exits.Exit.SETUP`, which cannot be imported without click."""
_INTERRUPTED = 130


def main() -> None:
    """Run the command line; says what to install when it is not complete, and nothing more than that when it is interrupted."""
    try:
        _start()
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        raise SystemExit(_INTERRUPTED) from None


def _start() -> None:
    try:
        run = import_module("genbridge.cli").run
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in _NEEDED:
            raise
        print(f"the command line needs {missing}, which is not installed: pip install 'genbridge[cli]'", file=sys.stderr)
        raise SystemExit(_SETUP) from None
    run()


if __name__ == "__main__":
    main()
