"""The way to the services, which is there once something is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from genbridge.transport import Origin, Transport
    from genbridge.wire import Call, Reply


@attrs.define
class Line:
    """A transport for runs that most often send nothing: one is made for the first call.

    Loading aiohttp takes longer than loading all else. It is not for runs that submit, as it would be loaded after the intent is on
    record, nor for programs whose loop has other work to do meanwhile.
    """

    _transport: Transport | None = attrs.field(default=None, init=False)

    async def send(self, call: Call, origin: Origin) -> Reply:
        """Make one call, as `Transport.send` does."""
        return await self._opened().send(call, origin)

    async def aclose(self) -> None:
        """Close all connections."""
        if self._transport is not None:
            await self._transport.aclose()

    def _opened(self) -> Transport:
        if self._transport is None:
            from genbridge.transport import Transport  # noqa: PLC0415 (that it is loaded here is what this module is for)

            self._transport = Transport()
        return self._transport
