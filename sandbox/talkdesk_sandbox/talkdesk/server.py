"""The running stand-in: listeners for servers and for browsers, egress proxy, control API, the agenda."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from aiohttp import web

from talkdesk_sandbox import mailbox
from talkdesk_sandbox.certificates import Authority
from talkdesk_sandbox.console.console import CONSOLE, NAME, Console
from talkdesk_sandbox.console.guard import OF_ACCOUNTS, OWN, guard
from talkdesk_sandbox.console.mails import Arrived, NoMailbox
from talkdesk_sandbox.mailbox import MAILBOX, Mailbox
from talkdesk_sandbox.talkdesk import (
    accounts_api,
    apps_api,
    authorize_api,
    bar_api,
    control_api,
    login_api,
    oauth_api,
    scim_api,
)
from talkdesk_sandbox.talkdesk.answers import FOR_BROWSERS, TALKDESK, public
from talkdesk_sandbox.talkdesk.hosts import certificate_names
from talkdesk_sandbox.talkdesk.proxy import ConnectProxy

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator

    from talkdesk_sandbox.talkdesk.platform import Talkdesk

_LARGEST_CONTROL_BODY = 16 * 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class Addresses:
    """Where the stand-in is reached; ``browser`` is plain http, the identity hosts told by their names.

    ``console`` is the same listener by the console's name.
    ``smtp`` is the mailbox of everybody in its world, as ``host:port``.
    """

    control: str
    smtp: str
    proxy: str
    browser: str
    console: str
    ca_file: Path


@contextlib.asynccontextmanager
async def serve(
    talkdesk: Talkdesk, *, directory: Path, control_port: int = 0, console: Console | None = None
) -> AsyncIterator[Addresses]:
    """Serve ``talkdesk`` on 127.0.0.1; ``directory``, which must exist, gets the CA's certificate.

    :param console: by default one without a cluster. One without a mailbox gets the stand-in's.

    Raises OSError when ``control_port`` is taken.
    """
    ca_file, context = _identity(directory)
    async with contextlib.AsyncExitStack() as stack:
        await talkdesk.deliveries.start()
        stack.push_async_callback(talkdesk.deliveries.close)
        stack.push_async_callback(talkdesk.agenda.close)
        following = asyncio.create_task(talkdesk.agenda.run())
        stack.push_async_callback(_cancel, following)
        tls_port = await _listen(stack, public_app(talkdesk), context=context)
        proxy = ConnectProxy(ledger=talkdesk.ledger, tls_port=tls_port)
        proxy_url = await proxy.start()
        stack.push_async_callback(proxy.close)
        mails = Mailbox()
        shown = console or Console(talkdesk=talkdesk)
        if isinstance(shown.mailbox, NoMailbox):
            shown.mailbox = Arrived(mails)
        talkdesk.browser_port = await _listen(stack, browser_app(shown))
        smtp_port = await stack.enter_async_context(mails.served())
        port = await _listen(stack, control_app(talkdesk, mails), port=control_port)
        yield Addresses(
            control=f"http://127.0.0.1:{port}",
            smtp=f"127.0.0.1:{smtp_port}",
            proxy=proxy_url,
            browser=f"http://127.0.0.1:{talkdesk.browser_port}",
            console=f"http://{NAME}:{talkdesk.browser_port}/",
            ca_file=ca_file,
        )


def _identity(directory: Path) -> tuple[Path, ssl.SSLContext]:
    """``ca.pem`` in ``directory``, and the listener's side of TLS; no key stays on disk."""
    with tempfile.TemporaryDirectory(dir=directory) as folder:
        authority = Authority(Path(folder), name="Talkdesk stand-in CA", now=datetime.now(UTC))
        listener = authority.issue("listener", common_name="Talkdesk stand-in", hosts=certificate_names())
        ca_file = directory / "ca.pem"
        ca_file.write_bytes(authority.certificate.read_bytes())
        return ca_file, listener.server_context()


def public_app(talkdesk: Talkdesk) -> web.Application:
    """Talkdesk's gateways and identity hosts, told apart by the Host header."""
    app = web.Application(middlewares=[public])
    app[TALKDESK] = talkdesk
    for module in (oauth_api, authorize_api, login_api, apps_api, accounts_api, scim_api):
        app.add_routes(module.routes)
    return app


def browser_app(console: Console) -> web.Application:
    """What browsers see of Talkdesk: signing in and on, the bar, and the console."""
    app = web.Application(middlewares=[guard, public])
    app[TALKDESK] = console.talkdesk
    app[FOR_BROWSERS] = True
    app[CONSOLE] = console
    for module in (authorize_api, login_api, bar_api, *dict.fromkeys((*OWN, *OF_ACCOUNTS))):
        app.add_routes(module.routes)
    return app


def control_app(talkdesk: Talkdesk, mails: Mailbox) -> web.Application:
    """The control API."""
    app = web.Application(middlewares=[control_api.control], client_max_size=_LARGEST_CONTROL_BODY)
    app[TALKDESK] = talkdesk
    app[MAILBOX] = mails
    app.add_routes(control_api.routes)
    app.add_routes(mailbox.routes)
    return app


async def _listen(
    stack: contextlib.AsyncExitStack,
    app: web.Application,
    *,
    port: int = 0,
    context: ssl.SSLContext | None = None,
) -> int:
    """Serve ``app`` until the stack unwinds; answers the port."""
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    await web.TCPSite(runner, "127.0.0.1", port, ssl_context=context).start()
    return int(runner.addresses[0][1])


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
