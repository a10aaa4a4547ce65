"""A transport for runs that most often send nothing."""

from __future__ import annotations

import pytest

from genbridge.errors import TransportError
from genbridge.lines import Line
from genbridge.transport import Origin
from genbridge.wire import Call


async def test_it_sends_as_a_transport_does() -> None:
    """The same comes out, twice in a row too, and its connections are closed."""
    line = Line()
    for _ in range(2):
        with pytest.raises(TransportError) as caught:
            await line.send(Call.get("/nowhere"), Origin(base_url="http://127.0.0.1:1"))
        assert caught.value.message.startswith("no connection to 127.0.0.1:1")
    await line.aclose()


async def test_one_that_sent_nothing_has_nothing_to_close() -> None:
    """Closing it is no error."""
    await Line().aclose()
