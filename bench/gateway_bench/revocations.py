"""From the stand-in's sending of a removal to the user's refusal at the edge, and where that time goes."""

from __future__ import annotations

import asyncio
import itertools
import statistics
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from gateway_bench.stage import WrongAnswer
from gateway_bench.throughput import as_browser
from gateway_bench.wire import Line
from talkdesk_sandbox.story.observe import NotYet, eventually

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway_bench.stage import SignedIn, Stage
    from gateway_bench.wire import Answered

#: Connections that ask at the edge, and how often each does, in seconds.
_LANES = 2
_EVERY = 0.002
#: So many refusals in a row, over all replicas, say that nobody lets the user in any more.
_IN_A_ROW = 16
_PATIENCE = 20.0
_REFUSED = 403


@dataclass(frozen=True, slots=True)
class Revocation:
    """Seconds of one removal, from the delivery's start.

    ``answered``: Talkdesk has the 2xx. ``stored``: the TalkdeskRevocation is. ``begun``: the operator's write
    of the slice reaches the API server. ``written``: it is. ``refused``: the first refusal after which
    nothing passed was complete.
    """

    answered: float
    stored: float
    begun: float
    written: float
    refused: float


async def measure(stage: Stage, *, removals: int, tell: Callable[[str], None]) -> list[Revocation]:
    """``removals`` one after another, each of another user, the tenants in turn.

    Raises WrongAnswer where a user is refused before, or in another way.
    """
    found: list[Revocation] = []
    # The last of each tenant stays, for somebody must be able to enter to the end.
    users = [user for user in stage.everyone if user is not stage.people[user.installation][-1]]
    for user in itertools.islice(users, removals):
        await eventually(lambda user=user: _settled(stage, user.installation), within=_PATIENCE)  # type: ignore[misc] # a default binds it
        found.append(await _removal(stage, user))
        if len(found) % 50 == 0:
            tell(f"{len(found)} removals, median so far {_median(found) * 1000:.0f} ms")
    if len(found) < removals:
        raise ValueError(f"{removals} removals need more than {len(users)} users")
    return found


def _median(found: list[Revocation]) -> float:
    return statistics.median(one.refused for one in found)


async def _settled(stage: Stage, installation: str) -> None:
    """Talkdesk has our answer to the update before, and takes another."""
    for one in (await stage.marketplace.state())["installations"]:
        if one["id"] == installation and one["state"] != "completed":
            raise NotYet(f"{installation} is {one['state']}")


async def _removal(stage: Stage, user: SignedIn) -> Revocation:
    where = ("127.0.0.1", stage.product.ports["public"])
    question = as_browser(user)[-1]
    lanes = [Line(where) for _ in range(_LANES)]
    answers: list[Answered] = []
    try:
        for line in lanes:
            if (first := await line.ask(question)).status != 200:
                raise WrongAnswer(f"{user.id} is refused before the removal: {first.status}")
        since = stage.plane.audit_position()
        async with asyncio.timeout(_PATIENCE), asyncio.TaskGroup() as asking:
            for line in lanes:
                asking.create_task(_ask(line, question, answers))
            event = await stage.marketplace.post(
                f"/control/installations/{user.installation}/update", {"removing": [user.id]}
            )
    finally:
        for line in lanes:
            line.close()
    delivery = await eventually(lambda: stage.marketplace.stored(event["event_id"]), within=_PATIENCE)
    answered = _stamp(delivery["at"])
    sent = answered - delivery["seconds"]
    stored, begun, written = await eventually(lambda: _written(stage, since), within=_PATIENCE)
    refused = _refused(answers, user)
    return Revocation(
        answered=answered - sent,
        stored=stored - sent,
        begun=begun - sent,
        written=written - sent,
        refused=refused - sent,
    )


async def _ask(line: Line, question: bytes, answers: list[Answered]) -> None:
    while not _nobody_passes(answers):
        answers.append(await line.ask(question))
        await asyncio.sleep(_EVERY)


def _nobody_passes(answers: list[Answered]) -> bool:
    last = answers[-_IN_A_ROW:]
    return len(last) == _IN_A_ROW and all(one.status != 200 for one in last)


def _refused(answers: list[Answered], user: SignedIn) -> float:
    """When the first answer of the last unbroken row of refusals was complete."""
    if wrong := {one.status for one in answers} - {200, _REFUSED}:
        raise WrongAnswer(f"{user.id} was answered {wrong}, where 200 or {_REFUSED} was due")
    answers = sorted(answers, key=lambda one: one.done)
    passed = [number for number, one in enumerate(answers) if one.status == 200]
    return answers[passed[-1] + 1 if passed else 0].done


async def _written(stage: Stage, since: int) -> tuple[float, float, float]:
    """From the API server's audit log: revocation stored, slice's write received, and done.

    The event changes the installation too, and the operator, which then lists the users, may be quicker than
    the revocation: what led to the slice's write was stored when that began, at the latest. An entry is
    written a little after the answer. Raises NotYet.
    """
    stored: float | None = None
    slices: tuple[float, float] | None = None
    seen: list[str] = []
    for entry in stage.plane.audit(since=since):
        about: dict[str, Any] = entry.get("objectRef") or {}
        if entry["stage"] != "ResponseComplete" or about.get("namespace") != stage.release.namespace:
            continue
        kind, verb = about.get("resource"), entry["verb"]
        seen.append(f"{verb} {kind}")
        if kind == "talkdeskrevocations" and verb == "create":
            stored = stored or _stamp(entry["stageTimestamp"])
        elif kind == "talkdeskuserslices" and verb in {"patch", "update"}:
            slices = slices or (_stamp(entry["requestReceivedTimestamp"]), _stamp(entry["stageTimestamp"]))
    if stored is None or slices is None:
        raise NotYet(f"the audit log has not both a revocation and a slice's write: {seen}")
    return min(stored, slices[0]), *slices


def _stamp(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def steps(found: list[Revocation]) -> dict[str, list[float]]:
    """The parts of each removal, in seconds, by what happens in them."""
    return {
        "webhook: received to revocation stored": [one.stored for one in found],
        "operator: to the slice's write": [one.begun - one.stored for one in found],
        "API server: the slice's write": [one.written - one.begun for one in found],
        "gateways and edge: watch, decision, refusal": [one.refused - one.written for one in found],
        "(webhook: received to answered)": [one.answered for one in found],
    }
