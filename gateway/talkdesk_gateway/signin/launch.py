"""``GET /_td/launch`` at the launch host: Talkdesk's icon leads here, with an installation and a hint.

The hint says which user Talkdesk thinks it is, and proves nothing. A launch always goes through Talkdesk; no
session is looked at. An installation that is not ready, or has not reached us, gets a page that waits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

from talkdesk_crds.names import installation_name
from talkdesk_gateway.pages import Wait, steps
from talkdesk_gateway.pages.refusals import PASSING
from talkdesk_gateway.signin.edge import PARTS, carry_out, moment_of, one, only_host
from talkdesk_gateway.signin.step import Go, Moment, Outcome, Show, identifier, refuse
from talkdesk_gateway.signin.waiting import until
from talkdesk_gateway.to import safe_to
from talkdesk_gateway.verdict import Refusal

if TYPE_CHECKING:
    from aiohttp import web

    from talkdesk_crds.app import TalkdeskApp
    from talkdesk_gateway.tenancy import Tenancy

#: Seconds that a page waits for an installation that nobody knows: its event may be under way.
UNKNOWN_SECONDS: Final = 60
#: Seconds that it waits for one that is being provisioned.
UNREADY_SECONDS: Final = 600
#: Seconds that one question of the waiting page is held, so that it goes on at once.
_HELD_SECONDS: Final = 5.0


@dataclass(frozen=True)
class Asked:
    """The query. ``waited`` is how many seconds the page says it has waited already, None at first."""

    installation: str | None
    hint: str | None
    to: str
    waited: int | None = None

    def url(self, origin: str) -> str:
        """This launch again, without what was waited."""
        query = {"talkdesk_installation_id": self.installation, "talkdesk_user_id": self.hint}
        given = {name: value for name, value in query.items() if value}
        if self.to != "/":
            given["to"] = self.to
        return f"{origin}/_td/launch?{urlencode(given)}"


def launch(
    asked: Asked, *, host: str, app: TalkdeskApp | None, tenancy: Tenancy | None, moment: Moment
) -> Outcome:
    """Where a launch at ``host`` leads. Pure.

    :param app: whose launch host ``host`` is.
    :param tenancy: of the installation that was asked for.
    """
    if app is None:
        return refuse(Refusal.UNKNOWN_HOST, moment, detail="no app's launch host")
    if asked.installation is None:
        return refuse(
            Refusal.UNKNOWN_INSTALLATION, moment, app=app, detail="no usable talkdesk_installation_id"
        )
    if tenancy is not None and tenancy.app.spec.app_id != app.spec.app_id:
        tenancy = None
    if tenancy is not None and tenancy.allowed and tenancy.host:
        to = None if asked.to == "/" else asked.to
        return Go(moment.start(tenancy.host, installation=asked.installation, hint=asked.hint, to=to))
    if tenancy is not None and not tenancy.allowed and tenancy.refusal not in PASSING:
        return refuse(Refusal.SUSPENDED, moment, tenancy=tenancy)
    return _unready(asked, asked.url(moment.origin(host)), app=app, tenancy=tenancy, moment=moment)


async def handle(request: web.Request) -> web.StreamResponse:
    """Answers a launch; one of a page that waits is held until something changes."""
    parts, moment, host = request.app[PARTS], moment_of(request), only_host(request)
    asked = Asked(
        installation=identifier(one(request, "talkdesk_installation_id")),
        hint=identifier(one(request, "talkdesk_user_id")),
        to=safe_to(one(request, "to")),
        waited=_seconds(one(request, "waited")),
    )

    def step() -> Outcome:
        found = parts.directory.by_installation(asked.installation) if asked.installation else None
        return launch(asked, host=host, app=parts.directory.app_at(host), tenancy=found, moment=moment)

    def goes_on() -> bool:
        outcome = step()
        return isinstance(outcome, Go) or outcome.outcome != "waiting"

    if asked.waited is not None and asked.installation is not None:
        name = installation_name(asked.installation)
        await until(goes_on, parts.directory, name, seconds=_HELD_SECONDS)
    return carry_out(request, "launch", step(), moment)


def _unready(asked: Asked, again: str, *, app: TalkdeskApp, tenancy: Tenancy | None, moment: Moment) -> Show:
    """The page that waits or, after its time, the one that says that it was in vain."""
    waited = asked.waited or 0
    if waited < (UNKNOWN_SECONDS if tenancy is None else UNREADY_SECONDS):
        page = steps.waiting(known=tenancy is not None, wait=Wait(again, waited, UNREADY_SECONDS), app=app)
        return Show(page, "waiting", tenancy=tenancy)
    if tenancy is None:
        return refuse(Refusal.UNKNOWN_INSTALLATION, moment, app=app, detail="not known", retry=again)
    page = steps.gave_up(retry=again, app=app, reference=moment.reference)
    return Show(page, "unready", tenancy=tenancy, detail=tenancy.refusal)


def _seconds(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) <= 6 else None
