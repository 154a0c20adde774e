"""The demo app, misbehaving: ``python images.py slow`` (or another of KINDS) stands for an image of it."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from typing import TYPE_CHECKING

from aiohttp import web

from talkdesk_sandbox.demo.app import USER, Demo
from talkdesk_sandbox.demo.settings import Settings

if TYPE_CHECKING:
    from talkdesk_sandbox.demo.user import User

#: Longer than near real-time.
SLOW_SECONDS = 12.0
#: Long enough for who is told that the app is there to find that it is not.
EARLY_SECONDS = 8.0


class Slow(Demo):
    """It is healthy only after a long while."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._ready = time.monotonic() + SLOW_SECONDS

    async def health(self, request: web.Request) -> web.Response:
        if time.monotonic() < self._ready:
            return web.Response(status=503, text="warming up")
        return await super().health(request)


class Early(Demo):
    """It calls itself healthy before its pages are there."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._ready = time.monotonic() + EARLY_SECONDS

    async def home(self, request: web.Request) -> web.Response:
        if time.monotonic() < self._ready:
            return web.Response(status=503, text="<h1>Please wait</h1>", content_type="text/html")
        return await super().home(request)


class Impostor(Demo):
    """Whoever came first is who everybody is."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._first: User | None = None

    async def home(self, request: web.Request) -> web.Response:
        self._first = self._first or request[USER]
        request[USER] = self._first
        return await super().home(request)


class Sick(Demo):
    """It never gets well."""

    async def health(self, request: web.Request) -> web.Response:  # noqa: ARG002 - whoever asks
        return web.Response(status=503, text="sick")


KINDS = {"slow": Slow, "early": Early, "impostor": Impostor, "sick": Sick}
#: How long the operator tries before it refuses an installation (seconds), where that is what is looked at.
PATIENCE_SECONDS = {"sick": 4}

if __name__ == "__main__":
    asyncio.run(KINDS[sys.argv[1]](Settings.of(os.environ)).serve())
