"""`genbridge sandbox`: the emulated services, for other programs."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from genbridge.cli.console import remark, say
from genbridge.cli.session import shared
from genbridge.plugins import installed

if TYPE_CHECKING:
    from genbridge.sandbox import Sandbox


@click.command()
@click.option("--port-base", type=click.IntRange(1, 65000), metavar="N", help="The first port; else free ones.")
@click.option(
    "--speed", type=click.FloatRange(min=0, min_open=True), default=20.0, show_default=True, help="How much faster time passes."
)
@shared
def sandbox(*, port_base: int | None, speed: float) -> None:
    """Serve the emulated services on this machine until Ctrl-C, and print how to reach them."""
    asyncio.run(serve(port_base=port_base, speed=speed))


async def serve(*, port_base: int | None, speed: float) -> None:
    """Serve until the process is asked to stop."""
    from genbridge.sandbox import Sandbox  # noqa: PLC0415 (the server is loaded when it is used)

    offered = installed.offering("emulate")
    async with Sandbox.of(offered, speed=speed, port_base=port_base) as running:
        for line in instructions(running):
            say(line)
        remark("serving; Ctrl-C stops it")
        await _asked_to_stop()
    remark("stopped")


def instructions(running: Sandbox) -> Iterator[str]:
    """Yield the lines to paste into a configuration; those for a shell are comments there."""
    yield "# genbridge.toml"
    yield running.config().rstrip()
    yield ""
    yield "# jobs made with these lines are recorded in the ordinary journal, with all others"
    yield ""
    yield "# or, in a shell and without the #, for any program that reads these variables"
    for name in running.emulators:
        described = installed.load(name).provider
        # A key without its address would be sent to the real service.
        if described.base_url_variable is not None:
            yield f"# export {described.key_variable}={running.key(name)}"
            yield f"# export {described.base_url_variable}={running.base_url(name)}"


async def _asked_to_stop() -> None:
    asked = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, asked.set)
    await asked.wait()
