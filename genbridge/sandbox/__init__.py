"""The providers' emulators, served on this machine: no key, no network, no cost."""

from __future__ import annotations

import asyncio
import json
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar
from urllib.parse import urlsplit

import attrs
from aiohttp import web

from genbridge.catalogue import Limits, Provider
from genbridge.config import BackendConfig, PollConfig, Secret
from genbridge.errors import ConfigError, GenbridgeError, PluginError, UnknownProviderError
from genbridge.plugins import Plugin
from genbridge.sandbox.memory import Memory
from genbridge.sandbox.server import HOST, serve
from genbridge.sandbox.services import Services
from genbridge.tables import join
from genbridge.wire import Emulator
from genbridge.words import listed

T = TypeVar("T")

_LEAST_INTERVAL = 0.05
"""Seconds between two polls, however fast the sandbox is."""


@attrs.define(kw_only=True, eq=False)
class Sandbox:
    """Emulators by their providers' names, each on a port of its own: `async with Sandbox.of(…) as sandbox`.

    Their time passes `speed` times faster than ours. A thread answers all calls, so that emulators need not care about threads and
    drawing a file does not hold up the event loop.
    """

    _services: Services
    _providers: dict[str, Provider] = attrs.field(repr=False)
    _wanted: dict[str, int] = attrs.field(repr=False)
    _thread: ThreadPoolExecutor | None = attrs.field(init=False, default=None, repr=False)
    _servers: dict[str, web.AppRunner] = attrs.field(init=False, factory=dict, repr=False)

    @classmethod
    def of(
        cls,
        plugins: Iterable[Plugin],
        *,
        speed: float = 20.0,
        state: Path | None = None,
        ports: Mapping[str, int] | None = None,
        port_base: int | None = None,
        now: Callable[[], float] = time.time,
    ) -> Self:
        """Return a sandbox, not yet running, of providers that have an emulator.

        `state` is a file that keeps ports, time and the emulators' state from one process to the next; several processes may share
        it. `ports` says which to use, by provider; `port_base` gives them to the providers in their order. `now` is our clock, in
        seconds. Raises `PluginError` for a provider without an emulator, and `ConfigError` for a speed that is none.
        """
        if not 0 < speed < math.inf:
            raise ConfigError(f"the sandbox's speed must be a number above 0, not {speed!r}")
        chosen = {plugin.name: plugin for plugin in plugins}
        counted = {} if port_base is None else {name: port_base + number for number, name in enumerate(chosen)}
        services = Services(
            emulators={name: _emulator(plugin) for name, plugin in chosen.items()},
            speed=speed,
            now=now,
            memory=Memory(state) if state is not None else None,
        )
        providers = {name: plugin.provider for name, plugin in chosen.items()}
        return cls(services=services, providers=providers, wanted=counted | dict(ports or {}))

    @property
    def emulators(self) -> Mapping[str, Emulator]:
        """The emulators, by their providers' names."""
        return self._services.emulators

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.aclose()

    async def start(self) -> None:
        """Serve; raises `ConfigError` for a port that was asked for and cannot be had."""
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="genbridge-sandbox")
        try:
            remembered = await self._in_thread(self._services.wake)
            for name in self.emulators:
                self._servers[name] = await self._serve(name, remembered.get(name, 0))
            await self._in_thread(self._services.settle, {name: self._port(name) for name in self._servers})
        except BaseException:
            await self.aclose()
            raise

    async def aclose(self) -> None:
        """Stop serving; what is being answered is answered first."""
        for server in self._servers.values():
            await server.cleanup()
        self._servers.clear()
        if self._thread is not None:
            await asyncio.to_thread(self._thread.shutdown)
            self._thread = None

    def base_url(self, provider: str) -> str:
        """Return the base URL of a provider's emulator, for a backend's `base_url`."""
        return f"http://{HOST}:{self._port(provider)}" + urlsplit(self._providers[provider].base_url).path.rstrip("/")

    def key(self, provider: str) -> str:
        """Return the API key that a provider's emulator accepts."""
        self._check_known(provider)
        return self.emulators[provider].key

    def backends(self) -> dict[str, BackendConfig]:
        """Return every emulator as a backend under its provider's name, whose limits and polls are as fast as its time."""
        return {name: self._backend(name) for name in self.emulators}

    def _backend(self, name: str) -> BackendConfig:
        provider = self._providers[name]
        limits, speed = provider.limits, self._services.speed
        return BackendConfig(
            name=name,
            provider=name,
            api_key=Secret(self.key(name)),
            base_url=self.base_url(name),
            submits_per_minute=None if limits.submits is None else math.ceil(limits.submits * 60 / limits.per * speed),
            limits={name: attrs.evolve(each, per=each.per / speed) for name, each in _narrow_limits(provider)},
            poll=PollConfig(interval=max(_LEAST_INTERVAL, round(provider.poll.interval / speed, 3))),
        )

    def config(self) -> str:
        """Return the lines of a config file that make every emulator a backend under its provider's name."""
        return "\n".join(line for backend in self.backends().values() for line in self._table(backend))

    def _table(self, backend: BackendConfig) -> Iterator[str]:
        table = join("backends", backend.name)
        yield f"[{table}]"
        yield f"provider = {_quoted(backend.provider)}"
        yield f"api_key = {_quoted(self.key(backend.name))}"
        yield f"base_url = {_quoted(self.base_url(backend.name))}"
        if backend.submits_per_minute is not None:
            yield f"submits_per_minute = {backend.submits_per_minute}"
        yield f"\n[{table}.poll]"
        yield f"interval = {backend.poll.interval}\n"

    def _port(self, provider: str) -> int:
        self._check_known(provider)
        if provider not in self._servers:
            raise GenbridgeError("the sandbox is not running; use `async with`, or start it first")
        port: int = self._servers[provider].addresses[0][1]
        return port

    def _check_known(self, provider: str) -> None:
        if provider not in self.emulators:
            raise UnknownProviderError(f"the sandbox has no provider {provider!r}; it has {listed(self.emulators)}")

    async def _serve(self, name: str, remembered: int) -> web.AppRunner:
        """Serve on the port that was asked for, else on the one it had, else on a free one."""
        listen = partial(serve, name, partial(self._in_thread, self._services.answer, name), speed=self._services.speed)
        wanted = self._wanted.get(name)
        try:
            return await listen(port=remembered if wanted is None else wanted)
        except (OSError, OverflowError) as error:
            if wanted is None:
                return await listen(port=0)
            reason = getattr(error, "strerror", None) or "there is no such port"
            raise ConfigError(f"the sandbox cannot serve {name!r} on port {wanted} ({reason}); choose another port") from None

    async def _in_thread(self, function: Callable[..., T], *values: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, partial(function, *values))


def _emulator(plugin: Plugin) -> Emulator:
    if not plugin.supports("emulate"):
        raise PluginError(
            f"the provider {plugin.name!r} of {plugin.package!r} has no emulator for the sandbox", package=plugin.package
        )
    emulator: Emulator = plugin.call("emulate")
    return emulator


def _narrow_limits(provider: Provider) -> Iterator[tuple[str, Limits]]:
    """Yield the limits of media and models, by their names."""
    yield from provider.media_limits.items()
    yield from ((model.id, model.limits) for model in provider.models if model.limits != Limits())


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
