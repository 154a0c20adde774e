"""From no user to ten thousand: what is written, and what it costs; a page that fails changes nothing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from talkdesk_crds.user_slice import bucket_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from typing import Any

    World = Any

pytestmark = pytest.mark.asyncio(loop_scope="module")

MANY = 10_000
#: What ten thousand users may cost an operator, above one with a single user.
MEGABYTES = 30.0


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def alone(open_world: Any) -> AsyncIterator[World]:
    """A world whose operator serves this module alone, and reads nothing by itself."""
    async with open_world() as made:
        await made.start(TALKDESK_RESYNC_SECONDS="0")
        yield made


def resident(world: World) -> float:
    """Megabytes that the operator's process holds."""
    pid = world.operators[0]._process.pid
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in status if line.startswith("VmRSS:")) / 1024


async def writes(world: World, since: int) -> list[str]:
    """Names of the slices written since a position of the audit log, one an accepted write."""
    return [
        entry["objectRef"]["name"]
        for entry in world.plane.audit(since=since)
        if (entry.get("objectRef") or {}).get("resource") == "talkdeskuserslices"
        and entry["objectRef"].get("namespace") == world.release.namespace
        and entry["verb"] in {"create", "patch", "update", "delete"}
        and entry["responseStatus"]["code"] in {200, 201}
    ]


async def updated(
    world: World, customer: Any, *, adding: list[str] | None = None, removing: list[str] | None = None
) -> None:
    """An update, approved."""
    before = len(await world.approvals(customer))
    body = {"adding": adding or [], "removing": removing or []}
    await world.post(f"/control/installations/{customer.id}/update", body)
    await world.approved(customer, before + 1)
    await world.condition(customer, "Ready", "True")


async def test_ten_thousand_users_cost_little_memory_and_one_more_rewrites_one_slice(
    alone: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world = alone
    await world.declare()
    small = await world.install(users=1)
    await world.approved(small)
    await world.condition(small, "Ready", "True")
    idle = resident(world)

    account = (await world.post("/control/accounts", {"name": "size", "region": "eu"}))["id"]
    everyone = await world.people(account, range(MANY))
    (one_more,) = await world.people(account, range(MANY, MANY + 1))
    began = world.plane.audit_position()
    big = await world.install(account=account, people=everyone)
    await world.approved(big)
    await world.condition(big, "Ready", "True")
    licensed = await world.licensed(big)
    assert set(licensed) == set(everyone)
    # Listed before the answer and after it: what was written once is not written again.
    first = await writes(world, began)
    assert len(first) == len(set(first)) == 64
    assert [user for user, entry in licensed.items() if entry["role"] == "admin"] == everyone[:1]
    full = resident(world)

    began = world.plane.audit_position()
    await updated(world, big, adding=[one_more])
    assert set(await world.licensed(big)) == {*everyone, one_more}
    added = await writes(world, began)
    assert added == [f"{big.name}-64-{bucket_of(one_more, 64)}"]

    began = world.plane.audit_position()
    await updated(world, big, removing=everyone[7:8])
    assert set(await world.licensed(big)) == {*everyone, one_more} - {everyone[7]}
    removed = await writes(world, began)
    assert removed == [f"{big.name}-64-{bucket_of(everyone[7], 64)}"]
    # Those who stayed are still signed in.
    after = await world.licensed(big)
    assert all(after[user]["epoch"] == licensed[user]["epoch"] for user in everyone if user in after)
    later = resident(world)
    with capsys.disabled():
        print(
            f"\n  an operator with 1 user: {idle:.1f} MB; with {MANY}: {full - idle:+.1f} MB, "
            f"after two updates {later - idle:+.1f} MB"
        )
    assert full - idle <= MEGABYTES
    assert later - idle <= MEGABYTES
