"""What Talkdesk itself does: its clock, its credentials, and the ways its deliveries go wrong."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from turmoil.actions import customers
from turmoil.actions.table import action
from turmoil.round import is_live

if TYPE_CHECKING:
    from collections.abc import Callable

    from turmoil.actions.table import Action
    from turmoil.ledger import Entry
    from turmoil.round import Round, Talkdesk

#: From the first to the last attempt at a delivery, in Talkdesk's seconds.
ATTEMPTS_SECONDS = 16 * 60.0


@action
async def move_clock(made: Round, a: int, _b: int) -> str | None:
    """Minutes pass: deliveries are attempted again, tokens end."""
    seconds = 60.0 + a % 1200
    await made.advance(seconds)
    return f"{seconds:g} s"


@action
async def rotate(made: Round, a: int, _b: int) -> str | None:
    """New credentials, as a routine: the old ones last a while."""
    return await _rotate(made, a, compromise=False)


@action
async def rotate_compromised(made: Round, a: int, _b: int) -> str | None:
    """New credentials, and the old ones are dead at once."""
    return await _rotate(made, a, compromise=True)


async def _rotate(made: Round, a: int, *, compromise: bool) -> str | None:
    said = await made.settled(a)
    if said is None:
        return None
    path = f"/control/installations/{said['id']}/rotate"
    event = await made.post(path, {"compromise": compromise}, kind="app.credentials_rotated")
    return None if event is None else str(said["id"])


@action
async def start_trial(made: Round, a: int, _b: int) -> str | None:
    """Talkdesk's staff give a customer a trial."""
    if not any(is_live(one) and _may_try(one) for one in (await made.truth()).values()):
        await customers.install(made, a, 1)
    said = await made.settled(a, fits=_may_try)
    if said is None:
        return None
    event = await made.post(f"/control/installations/{said['id']}/trial/start", kind="app.trial_started")
    return None if event is None else str(said["id"])


@action
async def extend_trial(made: Round, a: int, _b: int) -> str | None:
    """Talkdesk's staff give a customer more time."""
    said = await _somebody_on_trial(made, a)
    if said is None:
        return None
    event = await made.post(f"/control/installations/{said['id']}/trial/extend", kind="app.trial_extended")
    return None if event is None else str(said["id"])


@action
async def end_trial(made: Round, a: int, _b: int) -> str | None:
    """Talkdesk's staff end a trial as if its time had come."""
    said = await _somebody_on_trial(made, a)
    if said is None:
        return None
    event = await made.post(f"/control/installations/{said['id']}/trial/end", kind="app.trial_ended")
    return None if event is None else str(said["id"])


@action
async def expire_trial(made: Round, a: int, _b: int) -> str | None:
    """A trial's time comes."""
    said = await _somebody_on_trial(made, a)
    if said is None:
        return None
    now = datetime.fromisoformat((await made.arena.control.get("/control/clock")).json()["now"])
    soon = {"expires_at": (now + timedelta(seconds=60)).isoformat()}
    path = f"/control/installations/{said['id']}/trial/extend"
    if await made.post(path, soon, kind="app.trial_extended") is None:
        return None
    await made.advance(61)
    after = (await made.truth())[said["id"]]
    return str(said["id"]) if (after["trial"] or {}).get("ended_reason") == "trial_expired" else None


async def _somebody_on_trial(made: Round, a: int) -> Talkdesk | None:
    if not any(is_live(one) and _on_trial(one) for one in (await made.truth()).values()):
        await start_trial(made, a, 0)
    return await made.settled(a, fits=_on_trial)


def _may_try(said: Talkdesk) -> bool:
    """Is approved, or was cut off when an earlier trial ended."""
    return said["state"] in {"completed", "suspended"} and not _on_trial(said)


def _on_trial(said: Talkdesk) -> bool:
    return said["trial"] is not None and said["trial"]["ended_at"] is None


@action
async def redeliver(made: Round, a: int, _b: int) -> str | None:
    """An event that was acknowledged comes again, whatever has happened since."""
    deliveries = made.arena.deliveries
    known = [event for event in made.events if event in deliveries.acknowledged]
    if not known:
        await made.settled(a)
        known = [event for event in made.events if event in deliveries.acknowledged]
    event = known[a % len(known)]
    before = deliveries.answers[event]
    since = made.arena.ledger.position
    await made.arena.post(f"/control/events/{event}/redeliver")
    await made.arena.ledger.until(_attempt(event), since=since, within=15)
    if deliveries.answers[event] == before:
        await made.advance(301)  # the webhook was away: the next attempt
    return made.events[event] if deliveries.answers[event] > before else None


@action
async def duplicate(made: Round, a: int, b: int) -> str | None:
    """An event is delivered twice at the same time."""
    deliveries = made.arena.deliveries
    kind, act = _EVENTFUL[b % len(_EVENTFUL)]
    before = set(made.events)
    deliveries.arm("twice", kind)
    told = await act(made, a, b)
    event = next((one for one in made.events if one not in before and made.events[one] == kind), None)
    if told is None or event is None:
        deliveries.disarm()
        return None
    await made.arena.ledger.until(_attempt(event), since=0, within=15)
    return f"{kind}: {told}" if deliveries.answers[event] >= 2 else None


@action
async def drop(made: Round, a: int, b: int) -> str | None:
    """All attempts at an event fail: only a resync can tell."""
    deliveries = made.arena.deliveries
    kind, act = _LOST[b % len(_LOST)]
    if act is customers.change_plan and (await made.switches())["update_shows"] == "old":
        return None  # nothing but the event says which plan: nobody could tell
    before = set(made.events)
    deliveries.arm("lose", kind)
    told = await act(made, a, b)
    event = next((one for one in made.events if one not in before and made.events[one] == kind), None)
    if told is None or event is None:
        deliveries.disarm()
        return None
    await made.arena.ledger.until(_attempt(event), since=0, within=15)
    await made.advance(ATTEMPTS_SECONDS)
    return f"{kind}: {told}" if deliveries.lost[event] >= 3 else None


@action
async def reorder(made: Round, a: int, b: int) -> str | None:
    """Two events about one installation arrive the other way round."""
    deliveries = made.arena.deliveries
    said = await made.settled(a)
    if said is None:
        return None
    first, second = _PAIRS[b % len(_PAIRS)]
    deliveries.arm("hold", first[0])
    sent = []
    for kind, act in (first, second):
        before = set(made.events)
        # The same choice: nothing else asks for anything meanwhile, so that it is the same installation.
        if await act(made, a, b) is None:
            deliveries.disarm()
            return None
        sent += [one for one in made.events if one not in before and made.events[one] == kind]
    held, overtaking = sent
    await made.arena.ledger.until(_attempt(overtaking), since=0, within=15)
    deliveries.release()
    await made.arena.ledger.until(_attempt(held), since=0, within=15)
    if held not in deliveries.acknowledged:
        await made.advance(301)
    order = [one for one in deliveries.order if one in sent]
    return f"{second[0]} before {first[0]}" if order == [overtaking, held] else None


def _attempt(event: str) -> Callable[[Entry], bool]:
    return lambda entry: entry["kind"] == "delivery" and entry.get("event_id") == event


_EVENTFUL: tuple[tuple[str, Action], ...] = (
    ("app.updated", customers.add_user),
    ("app.updated", customers.remove_user),
    ("app.uninstalled", customers.uninstall),
    ("user.logout", customers.logout),
    ("app.credentials_rotated", rotate),
    ("app.trial_ended", end_trial),
)
_LOST: tuple[tuple[str, Action], ...] = (
    ("app.updated", customers.remove_user),
    ("app.updated", customers.add_user),
    ("app.uninstalled", customers.uninstall),
    ("app.updated", customers.change_plan),
    ("app.trial_ended", end_trial),
    ("app.trial_extended", extend_trial),
    ("app.credentials_rotated", rotate),
)
_PAIRS: tuple[tuple[tuple[str, Action], tuple[str, Action]], ...] = (
    (("user.logout", customers.logout), ("app.updated", customers.remove_user)),
    (("app.credentials_rotated", rotate), ("app.updated", customers.add_user)),
    (("app.credentials_rotated", rotate), ("app.uninstalled", customers.uninstall)),
    (("user.logout", customers.logout), ("app.credentials_rotated", rotate)),
    (("app.trial_extended", extend_trial), ("app.trial_ended", end_trial)),
)
