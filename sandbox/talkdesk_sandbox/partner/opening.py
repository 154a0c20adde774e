"""The partner's app comes into the sandbox: accounts, its listing in the marketplace, its TalkdeskApp."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from talkdesk_kube.client import Kube
from talkdesk_kube.connection import KubeSettings
from talkdesk_sandbox.environment import NAMESPACE
from talkdesk_sandbox.partner.applied import apply
from talkdesk_sandbox.partner.fitted import Place, fitted, listing, without_scopes
from talkdesk_sandbox.plain import plain
from talkdesk_sandbox.story.marketplace import Marketplace
from talkdesk_sandbox.story.neighbours import neighbours, resellers

if TYPE_CHECKING:
    from talkdesk_crds.app import TalkdeskApp
    from talkdesk_sandbox.environment import Environment
    from talkdesk_sandbox.whereabouts import Whereabouts

_SECONDS = 30


async def open_app(
    environment: Environment, declared: dict[str, Any], app: TalkdeskApp, *, website: str
) -> Place:
    """List ``app`` in the marketplace and apply it; ``declared`` is how it is written.

    Raises what :func:`apply` does.
    """
    edge, stand_in, name = environment.edge, environment.stand_in, app.metadata.name
    async with plain(base_url=stand_in.control, timeout=_SECONDS) as control:
        marketplace = Marketplace(http=control)
        accounts = await neighbours(marketplace)
        registered = await marketplace.post(
            "/control/apps",
            {
                **listing(app, website=website),
                "events_url": await asyncio.to_thread(environment.events_url),
                "launch_url": edge.launch_url(name),
                "redirect_uris": [edge.redirect_uri(name)],
            },
        )
    place = Place(
        app=name,
        namespace=NAMESPACE,
        app_id=registered["id"],
        regions=stand_in.regions,
        bar=edge.bar,
        keys=edge.jwks,
        website=website,
        resellers=resellers(accounts),
    )
    administrator = KubeSettings(kubeconfig=environment.control_plane.kubeconfig)
    async with await Kube.connect(administrator, user_agent="talkdesk-sandbox") as kube:
        await apply(kube, fitted(declared, place))
    return place


async def apply_again(
    up: Whereabouts, declared: dict[str, Any], app: TalkdeskApp
) -> tuple[int, dict[str, list[str]]]:
    """Apply a changed TalkdeskApp in the sandbox that is ``up``, its listing too.

    Gives the number of tenants that have it, and the accounts that installed it without scopes it has now.
    Raises ValueError where that sandbox runs another app, and what :func:`apply` does.
    """
    place = up.place
    if place is None:
        raise ValueError("the sandbox that is up runs the demo: start one with --app")
    if app.metadata.name != place.app:
        raise ValueError(f"the sandbox that is up runs {place.app}, and this is {app.metadata.name}")
    settings = KubeSettings(kubeconfig=up.kubeconfig)
    async with (
        plain(base_url=up.control, timeout=_SECONDS) as control,
        await Kube.connect(settings, user_agent="talkdesk-sandbox") as kube,
    ):
        number = await apply(kube, fitted(declared, place))
        changed = listing(app, website=place.website)
        (await control.patch(f"/control/apps/{place.app_id}", json=changed)).raise_for_status()
        return number, without_scopes(await Marketplace(http=control).state(), place.app_id)
