"""The emulated services themselves: who answers, at what time, with what memory. No sockets."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import attrs

from genbridge.sandbox.memory import Memory, Record
from genbridge.sandbox.tempo import Tempo
from genbridge.wire import Call, Emulator, Reply
from genbridge.words import listed


@attrs.define(kw_only=True, eq=False)
class Services:
    """Emulators by their providers' names. Not for several threads at once, but, with a memory, for several processes.

    Their time passes `speed` times faster than ours, of which `now` returns the seconds.
    """

    emulators: dict[str, Emulator] = attrs.field(repr=listed)
    speed: float
    now: Callable[[], float] = attrs.field(repr=False)
    memory: Memory | None = attrs.field(default=None, repr=False)
    _record: Record = attrs.field(init=False, repr=False)
    _latest: float = attrs.field(init=False, default=-math.inf, repr=False)

    @_record.default
    def _begin(self) -> Record:
        return Record(tempo=Tempo.starting(self.now(), self.speed))

    def wake(self) -> Mapping[str, int]:
        """Go on from what was remembered, if anything was; return the ports that are remembered."""
        if self.memory is not None:
            with self.memory.held():
                self._recall(self.memory)
        return self._record.ports

    def settle(self, ports: Mapping[str, int]) -> None:
        """Remember the ports of the providers that have none on record yet; another process may have the others just now."""
        if self.memory is not None:
            with self.memory.held():
                self._recall(self.memory)
                self._keep(self.memory, attrs.evolve(self._record, ports=dict(ports) | self._record.ports))

    def answer(self, name: str, call: Call) -> Reply:
        """Answer one call; raises whatever the emulator raises."""
        if self.memory is None:
            return self._ask(name, call)
        with self.memory.held():
            self._recall(self.memory)
            reply = self._ask(name, call)
            state = self.memory.state_of(name, self.emulators[name])
            if state is not None:
                self._keep(self.memory, attrs.evolve(self._record, emulators=self._record.emulators | {name: state}))
        return reply

    def _ask(self, name: str, call: Call) -> Reply:
        self._latest = max(self._latest, self._record.tempo.at(self.now()))
        return self.emulators[name].answer(call, self._latest)

    def _recall(self, memory: Memory) -> None:
        """Take over what another process, or an earlier one, has written."""
        record = memory.read()
        if record is None:
            return
        self._record = attrs.evolve(record, tempo=record.tempo.at_speed(self.speed, self.now()))
        for name, state in record.emulators.items():
            if name in self.emulators:
                self.emulators[name] = memory.restored(name, self.emulators[name], state)

    def _keep(self, memory: Memory, record: Record) -> None:
        if record != self._record:
            self._record = record
            memory.write(record)
