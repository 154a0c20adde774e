"""What the console's pages have in common: the world, the mails, the cluster, and where their hosts are."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aiohttp import web

from talkdesk_sandbox.console.mails import Mailbox, NoMailbox
from talkdesk_sandbox.talkdesk.hosts import sign_on_root

if TYPE_CHECKING:
    from collections.abc import Callable

    from talkdesk_sandbox.console.snapshot import Snapshot
    from talkdesk_sandbox.talkdesk.model import Account, App
    from talkdesk_sandbox.talkdesk.platform import Talkdesk

NAME = "console.localhost"


@dataclass(kw_only=True)
class Console:
    """``snapshot`` answers what Kubernetes holds, or None where no cluster is connected."""

    talkdesk: Talkdesk
    mailbox: Mailbox = field(default_factory=NoMailbox)
    snapshot: Callable[[], Snapshot | None] = lambda: None
    #: What a person types to look at the cluster by hand.
    kubeconfig: str = ""

    @property
    def root(self) -> str:
        """Base URL of the console's own pages."""
        return f"http://{NAME}:{self.talkdesk.browser_port}"

    def at(self, account: Account) -> str:
        """Base URL of an account's own pages."""
        return sign_on_root(account.region, account.name, port=self.talkdesk.browser_port)

    def install_link(self, app: App) -> str:
        """The private-install link of an app's current version: it asks which account is meant."""
        return f"{self.root}/install/{app.version.id}"


CONSOLE = web.AppKey("CONSOLE", Console)


def console_of(request: web.Request) -> Console:
    """The console that serves ``request``."""
    return request.app[CONSOLE]


def on_the_way(request: web.Request, path: str) -> web.HTTPSeeOther:
    """POST, redirect, GET."""
    return web.HTTPSeeOther(f"http://{request.host}{path}")


def leads_back(routes: web.RouteTableDef, form: str, page: str) -> None:
    """Let the address of a ``form`` lead to ``page``, whose braces are filled in from the address.

    A form that was refused is shown under its own address; a reload, or the live update, opens that again.
    """

    @routes.get(form, allow_head=False)
    async def reopened(request: web.Request) -> web.Response:
        raise on_the_way(request, page.format(**request.match_info))
