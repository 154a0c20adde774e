"""A write that fails once, is held back or meets what is there already: what it was for is done all the same.

Talkdesk is read again twice a day: what only the next reading mended would be wrong for half a day.
"""

from __future__ import annotations

import base64
import json
import re
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from aiohttp import web

from talkdesk_crds import names
from talkdesk_kube import resources
from talkdesk_sandbox.interceptor import before_kubernetes

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from talkdesk_sandbox.interceptor import Exchange, Interceptor

    World = Any

pytestmark = pytest.mark.asyncio(loop_scope="module")

PLAN = "Free trial"


class Faults:
    """What the API server answers to the operator besides what it would."""

    def __init__(self, between: Interceptor) -> None:
        between.rule = self._rule
        self._next: re.Pattern[str] | None = None

    def fail_one(self, path: str) -> None:
        """The next PATCH of a path like that gets a 500, and is not done."""
        self._next = re.compile(path)

    @property
    def failed(self) -> bool:
        return self._next is None

    async def _rule(self, exchange: Exchange) -> web.StreamResponse:
        if exchange.method == "PATCH" and self._next is not None and self._next.search(exchange.path):
            self._next = None
            failure = {"kind": "Status", "code": 500, "reason": "InternalError", "message": "once"}
            return web.json_response(failure, status=500)
        return await exchange.forward()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def brittle(open_world: Any) -> AsyncIterator[World]:
    """A world whose operator's writes can be made to fail: ``brittle.faults``."""
    async with open_world() as made, before_kubernetes(made.plane) as between:
        made.faults = Faults(between)
        await made.start(operators=0)
        through = between.kubeconfig(made.release.kubeconfig("operator"))
        await (await made.operator(TALKDESK_KUBECONFIG=str(through))).ready()
        yield made


async def observed(world: World, installed: Any, token: str) -> bool:
    return bool((await world.installation(installed))["status"].get("observedResync") == token)


async def source(world: World, value: str, **more: str) -> None:
    """The Secret that tenants get copies of."""
    metadata = {"name": "copied", "namespace": world.release.namespace}
    obj = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {"key": value}, **more}
    await world.kube.apply(obj, field_manager="test")


async def copied(world: World, tenant: str) -> str:
    found = await world.kube.get(resources.SECRETS, "copied", namespace=tenant)
    return base64.b64decode(found["data"]["key"]).decode()


COPIES = [{"kind": "Secret", "name": "copied"}]


async def test_what_a_status_should_have_said_is_found_out_again_where_it_could_not_be_stored(
    brittle: World, eventually: Any
) -> None:
    installed = await brittle.settled()
    brittle.faults.fail_one(f"/{installed.name}/status$")
    await brittle.annotate(installed, resync="status")
    await eventually(lambda: observed(brittle, installed, "status"), within=30)
    assert brittle.faults.failed


async def test_a_list_of_users_that_could_not_be_stored_is_read_again(
    brittle: World, eventually: Any
) -> None:
    installed = await brittle.settled()
    person = installed.users[1]
    renamed = await brittle.control.patch(f"/control/users/{person}", json={"name": "Somebody Else"})
    renamed.raise_for_status()
    brittle.faults.fail_one("/talkdeskuserslices/")
    await brittle.annotate(installed, resync="users")

    async def followed() -> bool:
        return bool((await brittle.licensed(installed))[person]["name"] == "Somebody Else")

    await eventually(followed, within=30)
    assert brittle.faults.failed


async def test_a_copied_secret_that_could_not_be_written_at_a_resync_follows_soon_after(
    brittle: World, eventually: Any
) -> None:
    await source(brittle, "one")
    installed = await brittle.settled(copies=COPIES)
    tenant = await brittle.tenant(installed)
    await source(brittle, "two")
    brittle.faults.fail_one(f"/namespaces/{tenant}/secrets/")
    await brittle.annotate(installed, resync="copies")

    async def followed() -> bool:
        return await copied(brittle, tenant) == "two"

    await eventually(followed, within=30)
    assert brittle.faults.failed
    await brittle.condition(installed, "TenantReady", "True")


async def test_what_a_resync_owes_to_a_paused_tenant_comes_when_it_is_let_go(
    brittle: World, eventually: Any
) -> None:
    await source(brittle, "one")
    installed = await brittle.settled(copies=COPIES)
    tenant = await brittle.tenant(installed)
    await brittle.annotate(installed, paused="being looked at")
    await source(brittle, "two")
    await brittle.annotate(installed, resync="paused")
    await eventually(lambda: observed(brittle, installed, "paused"))
    await brittle.quiet()
    assert await copied(brittle, tenant) == "one"
    await brittle.annotate(installed, paused=None)

    async def followed() -> bool:
        return await copied(brittle, tenant) == "two"

    await eventually(followed, within=30)


async def test_a_copied_secret_follows_a_source_that_was_made_anew_with_another_type(
    brittle: World, eventually: Any
) -> None:
    await source(brittle, "one")
    installed = await brittle.settled(copies=COPIES)
    tenant = await brittle.tenant(installed)
    await brittle.kube.delete(resources.SECRETS, "copied", namespace=brittle.release.namespace)
    try:
        await source(brittle, "two", type="example.com/another")
        await brittle.annotate(installed, resync="type")

        async def followed() -> bool:
            found = await brittle.kube.get(resources.SECRETS, "copied", namespace=tenant)
            return found["type"] == "example.com/another" and await copied(brittle, tenant) == "two"

        await eventually(followed, within=30)
        await brittle.condition(installed, "TenantReady", "True")
    finally:
        await brittle.kube.delete(resources.SECRETS, "copied", namespace=brittle.release.namespace)


async def test_a_generated_secret_is_found_under_a_quota_that_has_room_for_no_other(
    brittle: World, eventually: Any
) -> None:
    generated = [{"name": "database", "keys": {"password": {}}}]
    installed = await brittle.settled(generatedSecrets=generated, plans={PLAN: {"quota": {"secrets": "1"}}})
    tenant = await brittle.tenant(installed)
    before = await brittle.kube.get(resources.SECRETS, "database", namespace=tenant)
    since = brittle.plane.audit_position()
    await brittle.annotate(installed, resync="quota")
    await eventually(lambda: observed(brittle, installed, "quota"))
    await brittle.condition(installed, "TenantReady", "True")
    refused = [
        (entry["verb"], entry["objectRef"].get("resource"), entry["responseStatus"]["code"])
        for entry in brittle.plane.audit(since=since)
        if (entry.get("objectRef") or {}).get("namespace") == tenant
        and (entry.get("responseStatus") or {}).get("code", 200) >= 400
    ]
    assert not refused

    # Nothing tells any more that it was ever made.
    inventory = {"name": f"inventory-{tenant}", "namespace": brittle.release.namespace}
    await brittle.kube.delete(resources.CONFIG_MAPS, **inventory)

    async def found() -> bool:
        stored = await brittle.kube.get(resources.CONFIG_MAPS, **inventory)
        records = {one["name"]: one for one in json.loads(stored["data"]["objects.json"])}
        return bool(records["database"].get("wanted"))

    await eventually(found, within=30)
    await brittle.condition(installed, "TenantReady", "True")
    after = await brittle.kube.get(resources.SECRETS, "database", namespace=tenant)
    assert after["data"] == before["data"]


async def test_a_revision_that_another_release_left_behind_keeps_no_tenant_waiting(
    brittle: World, eventually: Any
) -> None:
    await brittle.declare()
    where = {"namespace": brittle.release.namespace}

    async def rolled_out() -> Any:
        app = await brittle.kube.get(resources.APPS, brittle.app, **where)
        return app["status"]["revision"]

    name = await eventually(rolled_out)
    left = {"metadata": {"labels": {names.MANAGED_LABEL: "another-release"}}}
    await brittle.kube.merge_patch(resources.CONTROLLER_REVISIONS, name, left, **where)

    async def ours() -> bool:
        found = await brittle.kube.get(resources.CONTROLLER_REVISIONS, name, **where)
        return bool(found["metadata"]["labels"][names.MANAGED_LABEL] != "another-release")

    await eventually(ours, within=30)
    installed = await brittle.install()
    await brittle.approved(installed)
    await brittle.condition(installed, "TenantReady", "True")
