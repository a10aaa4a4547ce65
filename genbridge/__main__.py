"""`python -m genbridge`, and the `genbridge` command."""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec

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
    # They are looked for and not loaded, as many a command needs no rich.
    missing = next((name for name in _NEEDED if find_spec(name) is None), None)
    if missing is not None:
        print(f"the command line needs {missing}, which is not installed: pip install 'genbridge[cli]'", file=sys.stderr)
        raise SystemExit(_SETUP)
    import_module("genbridge.cli").run()


if __name__ == "__main__":
    main()
