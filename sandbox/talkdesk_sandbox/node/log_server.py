"""``/containerLogs/{namespace}/{pod}/{container}``: what the API server asks for ``kubectl logs``."""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING

from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from talkdesk_sandbox.controlplane.network import Network

_CHUNK = 1 << 16
_FOLLOW_SECONDS = 0.2
# The log is what the process wrote, without times beside it.
_NEEDS_TIMES = ("timestamps", "sinceSeconds", "sinceTime")


def tail_offset(path: Path, lines: int) -> int:
    """Where in a file the last ``lines`` lines begin (bytes)."""
    with path.open("rb") as file:
        end = file.seek(0, 2)
        if lines <= 0 or end == 0:
            return end
        position, wanted = end, lines
        while position > 0:
            size = min(_CHUNK, position)
            position -= size
            file.seek(position)
            block = file.read(size)
            stop = len(block)
            if position + size == end and block.endswith(b"\n"):
                stop -= 1  # the newline at the very end closes the last line
            while (found := block.rfind(b"\n", 0, stop)) >= 0:
                wanted -= 1
                if wanted == 0:
                    return position + found + 1
                stop = found
    return 0


class LogServer:
    """Serves https to holders of a certificate of the control plane's authority.

    ``find(namespace, pod, container, previous)`` gives the log's path and whether that run still goes on, or
    None.
    """

    def __init__(
        self, network: Network, find: Callable[[str, str, str, bool], tuple[Path, Callable[[], bool]] | None]
    ) -> None:
        self._network = network
        self._find = find
        app = web.Application()
        app.router.add_get("/containerLogs/{namespace}/{pod}/{container}", self._logs)
        for action in ("exec", "attach", "portForward", "run"):
            app.router.add_route("*", f"/{action}/{{rest:.*}}", self._cannot)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)

    async def start(self) -> int | None:
        """The port, or None where the network has no certificate for it."""
        tls = self._network.node_tls
        if tls is None:
            return None
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(tls.client_ca))
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_cert_chain(tls.certificate, tls.key)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._network.node_address, 0, ssl_context=context)
        await site.start()
        return int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        """Close the listener and the streams."""
        await self._runner.cleanup()

    async def _cannot(self, request: web.Request) -> web.Response:
        action = request.path.split("/")[1]
        return web.Response(
            status=501,
            text=f"{action} is not supported by the local node: its containers are local processes\n",
        )

    async def _logs(self, request: web.Request) -> web.StreamResponse:
        where, query = request.match_info, request.query
        asked = [name for name in _NEEDS_TIMES if query.get(name, "false") != "false"]
        if asked:
            return web.Response(
                status=501, text=f"the local node's logs have no times, so that {asked[0]} is not supported\n"
            )
        found = self._find(
            where["namespace"], where["pod"], where["container"], query.get("previous") == "true"
        )
        if found is None:
            return web.Response(status=404, text=f"no log of container {where['container']!r}\n")
        path, goes_on = found
        if not path.exists():
            return web.Response(status=404, text=f"container {where['container']!r} has not started yet\n")
        answer = web.StreamResponse(headers={"Content-Type": "text/plain", "Transfer-Encoding": "chunked"})
        await answer.prepare(request)
        offset = tail_offset(path, int(query["tailLines"])) if "tailLines" in query else 0
        left = int(query.get("limitBytes", 1 << 62))
        await _send(answer, path, offset, left, goes_on if query.get("follow") == "true" else lambda: False)
        return answer


async def _send(
    answer: web.StreamResponse, path: Path, offset: int, left: int, goes_on: Callable[[], bool]
) -> None:
    with path.open("rb") as file:
        file.seek(offset)
        while left > 0:
            running = goes_on()
            block = file.read(min(_CHUNK, left))
            if block:
                left -= len(block)
                await answer.write(block)
            elif running:
                await asyncio.sleep(_FOLLOW_SECONDS)
            else:
                break
    await answer.write_eof()
