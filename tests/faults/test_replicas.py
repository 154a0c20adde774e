"""Two webhooks and two operators at once, and operators that come and go."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from talkdesk_kube import resources as kinds
from talkdesk_sandbox.interceptor import before_webhook
from talkdesk_sandbox.story.observe import NotYet, eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from talkdesk_sandbox.controlplane import ControlPlane

WRITES = {"create", "update", "patch", "delete", "deletecollection"}
#: What a lost race is called; in a log above debug it would only frighten people.
CONFLICT = re.compile(r"\b409 (Conflict|AlreadyExists)\b")
#: As the chart has it: to look at hundreds that wait every second each is more work than installing them.
SELDOM = {"TALKDESK_PENDING_RESYNC_SECONDS": "30"}
#: The Lease, what is told, and a question that is asked by POST.
NOT_OF_A_TENANT = {"leases", "events", "selfsubjectaccessreviews"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def crowded(shared_products: Any) -> AsyncIterator[Any]:
    """Two webhooks and two operators; their customers stay for the next test: many take long to install."""
    settings = SELDOM | {"TALKDESK_LOG_LEVEL": "info"}
    yield await shared_products.make(webhooks=2, operators=2, settings=settings, intercepted=False)


def writes(plane: ControlPlane, since: int, user: str) -> Counter[tuple[str, str, int]]:
    """(verb, resource, code) of all writes by ``user`` in the audit log after ``since``."""
    return Counter(
        (entry["verb"], _resource(entry), entry["responseStatus"]["code"])
        for entry in plane.audit(since=since)
        if entry["user"]["username"] == user and entry["verb"] in WRITES
    )


def _resource(entry: dict[str, Any]) -> str:
    where = entry.get("objectRef") or {}
    return "/".join(part for part in (where.get("resource"), where.get("subresource")) if part)


def _about(where: dict[str, Any], names: tuple[str, ...]) -> bool:
    """Whether an object is one of ``names``, lies in it, or is named after it (slices, the inventory)."""
    own = where.get("name") or ""
    return any(name in own or name == where.get("namespace") for name in names)


async def _approvals(product: Any) -> Counter[str]:
    """How often each installation was approved with effect."""
    return Counter(
        entry["installation_id"]
        for entry in await product.marketplace.read()
        if entry["kind"] == "transition"
        and entry["detail"].get("effective")
        and entry["detail"].get("answer") == "approve"
    )


async def _installs(product: Any, number: int, *, within: float) -> list[str]:
    """``number`` installs at once; all approved, each once."""
    made = await asyncio.gather(*(product.install(users=2) for _ in range(number)))
    ids = [installation for installation, _ in made]

    async def all_approved() -> None:
        done = await _approvals(product)
        missing = [each for each in ids if not done[each]]
        if missing:
            raise NotYet(f"{len(missing)} of {number} are not approved")
        assert {done[each] for each in ids} == {1}

    await eventually(all_approved, within=within)
    return ids


async def _quiet(plane: ControlPlane, user: str, *, within: float) -> int:
    """Wait until ``user`` wrote nothing but its Lease for two seconds; the audit log's position then."""
    since = plane.audit_position()
    last = time.monotonic()

    async def still() -> int:
        nonlocal since, last
        busy = [key for key in writes(plane, since, user) if key[1] != "leases"]
        if busy:
            since, last = plane.audit_position(), time.monotonic()
        if time.monotonic() - last < 2:
            raise NotYet(f"still writing: {busy}")
        return since

    return await eventually(still, within=within)


async def _delivered_to(product: Any, url: str) -> None:
    """From now on Talkdesk's events come there."""
    changed = await product.marketplace.http.patch(
        f"/control/apps/{product.app_id}", json={"events_url": f"{url}/events"}
    )
    changed.raise_for_status()


async def test_an_unchanged_installation_is_reconciled_without_any_write(
    products: Any, control_plane: ControlPlane
) -> None:
    product = await products.make(settings={"TALKDESK_RESYNC_SECONDS": "2"}, intercepted=False)
    await _installs(product, 5, within=60)
    user = product.release.user("operator")
    since = await _quiet(control_plane, user, within=30)
    heard = len(await product.marketplace.read())

    async def read_again() -> None:
        entries = (await product.marketplace.read())[heard:]
        looked = {e["installation_id"] for e in entries if e["kind"] == "api" and e["method"] == "GET"}
        if len(looked) < 5:
            raise NotYet(f"{len(looked)} of 5 installations were read again")

    await eventually(read_again, within=20)
    assert {key[1] for key in writes(control_plane, since, user)} <= {"leases"}


@pytest.mark.asyncio(loop_scope="module")
async def test_two_webhooks_and_two_operators_approve_fifty_installations_once_each(
    crowded: Any, control_plane: ControlPlane, capsys: pytest.CaptureFixture[str]
) -> None:
    product = crowded
    async with before_webhook(product.webhooks[0].process.url) as balancer:
        # Worse than any Service: both webhooks get every delivery, at the same time.
        async def both(exchange: Any) -> Any:
            urls = [party.process.url for party in product.webhooks]
            answers = await asyncio.gather(*map(exchange.forward, urls))
            return next((answer for answer in answers if 200 <= answer.status < 300), answers[0])

        balancer.rule = both
        await _delivered_to(product, balancer.url)
        since = control_plane.audit_position()
        began = time.monotonic()
        ids = await _installs(product, 50, within=300)
        took = time.monotonic() - began
        await _quiet(control_plane, product.release.user("operator"), within=60)
        await _delivered_to(product, product.webhooks[0].process.url)
    approvals = await _approvals(product)
    assert {approvals[each] for each in ids} == {1}
    conflicts = sum(
        1
        for entry in control_plane.audit(since=since)
        if (entry.get("responseStatus") or {}).get("code") == 409
        and entry["user"]["username"].startswith(f"system:serviceaccount:{product.release.namespace}:")
    )
    with capsys.disabled():
        print(f"\n  50 installs by 2 webhooks and 2 operators in {took:.1f} s, {conflicts} conflicts")
    assert conflicts >= 50, "each install's event came twice at once, and its credentials are stored once"
    for party in (*product.webhooks, *product.operators):
        for line in party.process.log.read_text().splitlines():
            assert json.loads(line)["level"] == "debug" or not CONFLICT.search(line), line


@pytest.mark.asyncio(loop_scope="module")
async def test_a_restart_with_two_hundred_installations_writes_only_the_lease(
    crowded: Any, control_plane: ControlPlane, capsys: pytest.CaptureFixture[str]
) -> None:
    product = crowded
    for party in (*product.webhooks[1:], *product.operators[1:]):
        await party.process.__aexit__()  # for good: from here on there is one of each
    began = time.monotonic()
    before = len(await _approvals(product))
    while (missing := 200 - len(await _approvals(product))) > 0:
        await _installs(product, min(missing, 50), within=300)
    user = product.release.user("operator")
    await _quiet(control_plane, user, within=60)
    took = time.monotonic() - began
    operator = product.operators[0].process

    # While no operator watches, an object of a tenant is deleted and a new customer installs.
    tenants = (await product.cluster.kube.list(kinds.NAMESPACES)).items
    tenant = next(
        item["metadata"]["name"]
        for item in tenants
        if item["metadata"]["labels"]
        .get("talkdesk-operator.io/tenant", "")
        .startswith(product.release.namespace)
    )
    restarted = time.monotonic()
    operator.kill()
    since = control_plane.audit_position()
    await product.cluster.kube.delete(kinds.SERVICES, "demo", namespace=tenant)
    new, _ = await product.install(users=2)
    await eventually(lambda: product.marketplace.approved(new), within=60)

    async def repaired() -> None:
        found = await product.cluster.kube.list(kinds.SERVICES, namespace=tenant)
        if not found.items:
            raise NotYet("the deleted Service is not back")

    await eventually(repaired, within=30)
    await _quiet(control_plane, user, within=60)
    healed = time.monotonic() - restarted
    assert operator.starts == 2

    stored = await product.cluster.installation(new)
    concerned = (stored["metadata"]["name"], stored["status"]["tenant"], tenant)
    others = [
        (entry["verb"], where)
        for entry in control_plane.audit(since=since)
        if entry["user"]["username"] == user and entry["verb"] in WRITES
        for where in [entry["objectRef"]]
        if where["resource"] not in NOT_OF_A_TENANT and not _about(where, concerned)
    ]
    told = writes(control_plane, since, user)["create", "events", 201]
    with capsys.disabled():
        print(
            f"\n  {200 - before} more installs in {took:.1f} s; restarted, approved a new one and repaired "
            f"in {healed:.1f} s with {told} Kubernetes Events"
        )
    # Those of the new install and of the repair; none about an installation that stayed as it was.
    assert told <= 20, told
    # The app's status counts its tenants: one more of them, and the damaged one unready for a moment.
    counts = [where for _, where in others if where["resource"] == "talkdeskapps"]
    assert len(counts) <= 20, len(counts)
    assert len(others) == len(counts), others[:10]
