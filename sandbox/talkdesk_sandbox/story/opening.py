"""The story's opening: the demo app is registered at the stand-in and declared in the cluster."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

from talkdesk_kube.client import Kube
from talkdesk_kube.connection import KubeSettings
from talkdesk_sandbox.environment import Environment, demo_app
from talkdesk_sandbox.plain import plain
from talkdesk_sandbox.story.cluster import Cluster
from talkdesk_sandbox.story.marketplace import Marketplace
from talkdesk_sandbox.story.script import PATIENCE, Story

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from talkdesk_sandbox.edge import Edge

PLAN = "Free trial"
REGION = "eu"
SUMMARY = "A live board of your contact centre: who is on a call, who waits, and how the day went."


@contextlib.asynccontextmanager
async def open_story(
    environment: Environment,
    *,
    tell: Callable[[dict[str, Any]], None] = lambda _: None,
    patience: float = PATIENCE,
    events_url: str | None = None,
    app_name: str = "demo",
    image: str | None = None,
) -> AsyncIterator[Story]:
    """A story that can be played on ``environment``.

    :param tell: hears every new entry of the stand-in's ledger.
    :param patience: seconds that each effect may take.
    :param events_url: where Talkdesk sends the app's events; by default the webhook's Service.
    :param app_name: of the TalkdeskApp; its app id is immutable, so that each story in a sandbox has its own.
    :param image: of the app's workload, in place of the demo's own.
    """
    administrator = KubeSettings(kubeconfig=environment.control_plane.kubeconfig)
    async with (
        await Kube.connect(administrator, user_agent="talkdesk-sandbox") as kube,
        plain(base_url=environment.stand_in.control, timeout=30) as control,
        plain(timeout=2) as tenants,
    ):
        marketplace = Marketplace(http=control, tell=tell)
        url = events_url if events_url is not None else await asyncio.to_thread(environment.events_url)
        edge = environment.edge
        app_id = await _register(marketplace, events_url=url, edge=edge, app_name=app_name)
        app = demo_app(
            name=app_name, app_id=app_id, regions=environment.stand_in.regions, edge=edge, image=image
        )
        await kube.apply(app, field_manager="talkdesk-sandbox")
        story = Story(
            marketplace=marketplace,
            cluster=Cluster(
                kube=kube,
                http=tenants,
                namespace=environment.release.namespace,
                credentials=environment.release.credentials_namespace,
            ),
            app_id=app_id,
            plan=PLAN,
            region=REGION,
            patience=patience,
            sign_on=environment.stand_in.sign_on_host,
        )
        try:
            yield story
        finally:
            await story.close()


async def _register(marketplace: Marketplace, *, events_url: str, edge: Edge, app_name: str) -> str:
    app = await marketplace.post(
        "/control/apps",
        {
            "name": "Callboard",
            "events_url": events_url,
            "launch_url": edge.launch_url(app_name),
            "redirect_uris": [edge.redirect_uri(app_name)],
            "summary": SUMMARY,
            "terms_url": f"{edge.website}/terms",
            "scopes": ["openid", "account:read", "users:read", "apps:read", "apps:write"],
            "plans": [
                {"name": PLAN, "type": "trial", "license_type": "individual", "price": 0},
                {"name": "Professional", "type": "paid", "license_type": "individual", "price": 20},
            ],
        },
    )
    app_id: str = app["id"]
    return app_id
