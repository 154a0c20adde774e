"""What customers do: all of it in Talkdesk, none of it with us."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from talkdesk_crds import names
from turmoil.actions.table import action
from turmoil.judge import Removal
from turmoil.round import PATIENCE, PLANS, Round, Slot, Talkdesk

if TYPE_CHECKING:
    from collections.abc import Sequence


@action
async def install(made: Round, a: int, b: int) -> str | None:
    """Somebody installs who never did, as long as there is somebody."""
    free = made.free(await made.truth(), used=False) or await _room(made, a)
    if not free:
        return None
    return await made.install(free[a % len(free)], plan=b % len(PLANS))


@action
async def reinstall(made: Round, a: int, b: int) -> str | None:
    """Somebody comes back."""
    free = made.free(await made.truth(), used=True) or await _room(made, a)
    if not free:
        return None
    return await made.install(free[a % len(free)], plan=b % len(PLANS))


async def _room(made: Round, a: int) -> list[Slot]:
    """Slots that somebody has left, if need be by an uninstall now."""
    deadline = time.monotonic() + PATIENCE
    if not made.free(await made.truth(), used=True):
        await uninstall(made, a, 0)
    while time.monotonic() < deadline:
        if free := made.free(await made.truth(), used=True):
            return free
        await made.something_happens()
    return []


@action
async def add_user(made: Round, a: int, b: int) -> str | None:
    """One user more."""
    said = await made.settled(a, fits=lambda one: bool(_unlicensed(made, one)))
    if said is None:
        return None
    others = _unlicensed(made, said)
    return await update(made, said, adding=[others[b % len(others)]])


@action
async def remove_user(made: Round, a: int, b: int) -> str | None:
    """One user less; whoever installed stays."""
    said = await made.settled(a, fits=lambda one: bool(_removable(one)))
    if said is None:
        return None
    others = _removable(said)
    return await update(made, said, removing=[others[b % len(others)]])


@action
async def exchange_users(made: Round, a: int, b: int) -> str | None:
    """One in, one out, in one request."""
    said = await made.settled(a, fits=lambda one: bool(_removable(one) and _unlicensed(made, one)))
    if said is None:
        return None
    out, others = _removable(said), _unlicensed(made, said)
    return await update(made, said, removing=[out[b % len(out)]], adding=[others[b % len(others)]])


@action
async def change_mind(made: Round, a: int, b: int) -> str | None:
    """One user less, and before that is answered one more instead; Talkdesk may refuse the second request."""
    said = await made.settled(a, fits=lambda one: bool(_removable(one) and _unlicensed(made, one)))
    if said is None:
        return None
    out, others = _removable(said), _unlicensed(made, said)
    first = await update(made, said, removing=[out[b % len(out)]])
    if first is None:
        return None
    over = made.judge.withdrawn(said["id"])
    second = await update(made, said, adding=[others[b % len(others)]])
    if second is None:
        made.judge.removals += over
    return f"{first}, {'refused' if second is None else 'then'} +1"


@action
async def change_plan(made: Round, a: int, b: int) -> str | None:
    """To one of the paid plans."""
    said = await made.settled(a)
    if said is None:
        return None
    others = [name for name, kind in PLANS if kind == "paid" and name != said["subscription"]["plan"]["name"]]
    return await update(made, said, plan=others[b % len(others)])


@action
async def uninstall(made: Round, a: int, b: int) -> str | None:
    """Somebody leaves."""
    said = await made.settled(a)
    if said is None:
        return None
    made.judge.asked(said["id"], "uninstall")
    event = await made.post(
        f"/control/installations/{said['id']}/uninstall", {"reason": f"reason {b}"}, kind="app.uninstalled"
    )
    if event is None:
        return None
    made.judge.uninstalls[said["id"]] = event
    return str(said["id"])


@action
async def logout(made: Round, a: int, b: int) -> str | None:
    """A user logs out of Talkdesk."""
    said = await made.settled(a)
    if said is None:
        return None
    user = said["users"][b % len(said["users"])]
    licensed = made.arena.eyes.licensed(names.installation_name(said["id"])) or {}
    before = licensed.get(user, {}).get("epoch")
    event = await made.post(
        f"/control/installations/{said['id']}/logout", {"user_id": user}, kind="user.logout"
    )
    if event is None:
        return None
    if before is not None:
        made.judge.logouts.append(Removal(said["id"], user, event, epoch=before))
    return f"{user} of {said['id']}"


async def update(
    made: Round,
    said: Talkdesk,
    *,
    adding: Sequence[str] = (),
    removing: Sequence[str] = (),
    plan: str | None = None,
) -> str | None:
    """An admin changes users or plan."""
    installation = str(said["id"])
    made.judge.asked(installation, "update")
    made.judge.added(installation, list(adding))
    body = {"adding": list(adding), "removing": list(removing), **({"plan": plan} if plan else {})}
    inside = made.arena.eyes.licensed(names.installation_name(installation)) or {}
    event = await made.post(f"/control/installations/{installation}/update", body, kind="app.updated")
    if event is None:
        return None
    made.judge.removals += [Removal(installation, user, event, inside=user in inside) for user in removing]
    told = [f"+{len(adding)}" if adding else "", f"-{len(removing)}" if removing else "", plan or ""]
    return f"{installation} {' '.join(part for part in told if part)}"


def _removable(said: Talkdesk) -> list[str]:
    return [user for user in said["users"] if user != said["created_by"]]


def _unlicensed(made: Round, said: Talkdesk) -> list[str]:
    return [user for user in made.people[said["account_id"]] if user not in said["users"]]
