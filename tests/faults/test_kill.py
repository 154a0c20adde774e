"""kill -9 of webhook and operator, before and after each write and call of an install.

The list of requests comes from the audit log and the ledger of a clean run. A proxy holds a request (before
it is sent on, or after it was answered), the process is killed and restarted, and the installation must end
approved, once, and its admin told of it. CI takes a seeded quarter of the list; ``KILL=all`` takes every
one, any other ``KILL`` those that match it.
"""

from __future__ import annotations

import asyncio
import os
import random
import re
import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from talkdesk_sandbox.interceptor import Cut, Exchange, passing
from talkdesk_sandbox.story.observe import NotObserved, NotYet, eventually

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pytest
    from aiohttp import web

    from talkdesk_sandbox.controlplane import ControlPlane
    from talkdesk_sandbox.supervised import Supervised

SEED = 20261122
#: Installs that nothing disturbs: their requests are the points at which the others are killed.
CLEAN_RUNS = 3
#: How often a request is waited for that two causes may have merged into another.
ATTEMPTS = 3
#: Seconds after the last visible effect of an install in which what is written behind it may still come.
AFTERWARDS = 3.0
#: Requests that are no part of one install: they go on by themselves all the time.
ALWAYS = ("/leases/", "/leases", "/selfsubject")

Line = Literal["kubernetes", "talkdesk"]
Moment = Literal["before", "after"]


@dataclass(frozen=True, order=True)
class Point:
    """The ``nth`` request of this shape that a component makes in an install, and when the kill comes."""

    component: str
    line: Line
    method: str
    shape: str
    nth: int
    moment: Moment

    def __str__(self) -> str:
        return f"{self.component} killed {self.moment} {self.method} {self.shape} #{self.nth + 1}"


_NAMES = re.compile(r"(?<=/)[^/]*[0-9a-f]{6,}[^/]*(?=/|$)")


def shape(path: str) -> str:
    """``path`` with everything that looks like an id replaced, so that two installs compare."""
    return _NAMES.sub("*", path)


def requests_of(entries: Iterable[tuple[str, Line, str, str]]) -> list[Point]:
    """The points of a clean run's requests (component, line, method, path)."""
    seen: Counter[tuple[str, Line, str, str]] = Counter()
    points = []
    for component, line, method, path in entries:
        key = (component, line, method, shape(path))
        points += [Point(*key, nth=seen[key], moment="before"), Point(*key, nth=seen[key], moment="after")]
        seen[key] += 1
    return points


_VERBS = {"create": "POST", "patch": "PATCH", "update": "PUT", "delete": "DELETE"}


def written(plane: ControlPlane, since: int, users: dict[str, str]) -> list[tuple[str, Line, str, str]]:
    """All writes of the product in the audit log after ``since``."""
    found: list[tuple[str, Line, str, str]] = []
    for entry in plane.audit(since=since):
        component = users.get(entry["user"]["username"])
        path = urlsplit(entry["requestURI"]).path
        if component is None or entry["verb"] not in _VERBS or any(part in path for part in ALWAYS):
            continue
        found.append((component, "kubernetes", _VERBS[entry["verb"]], path))
    return found


def called(ledger: Iterable[dict[str, Any]]) -> list[tuple[str, Line, str, str]]:
    """All calls to Talkdesk in the ledger."""
    found: list[tuple[str, Line, str, str]] = []
    for entry in ledger:
        if entry["kind"] in {"token", "api", "key"}:
            component = "webhook" if entry["kind"] == "key" else "operator"
            found.append((component, "talkdesk", entry["method"], urlsplit(entry["url"]).path))
    return found


class Killer:
    """A rule that kills ``process`` at ``point``, once."""

    def __init__(self, point: Point, process: Any) -> None:
        self.point, self.process = point, process
        self.seen = 0
        self.met = asyncio.Event()

    async def __call__(self, exchange: Exchange) -> web.StreamResponse:
        mine = exchange.method == self.point.method and shape(exchange.path) == self.point.shape
        if not mine or self.met.is_set():
            return await exchange.forward()
        self.seen += 1
        if self.seen != self.point.nth + 1:
            return await exchange.forward()
        if self.point.moment == "after":
            await exchange.forward()
        self.met.set()
        self.process.kill()
        raise Cut


async def _approved(product: Any, installation_id: str, *, within: float) -> None:
    """Ends approved, once, and stays so; deliveries that failed are repeated by moving the clock."""
    deadline = time.monotonic() + within
    while True:
        try:
            await eventually(lambda: product.marketplace.approved(installation_id), within=3)
        except NotObserved:
            if time.monotonic() > deadline:
                raise
            await product.marketplace.post("/control/clock", {"advance_seconds": 301})
        else:
            return


def _is_told(point: Point) -> bool:
    """Whether it is the writing of a Kubernetes Event."""
    return point.shape.endswith("/events")


async def _told_once(product: Any, installation_id: str) -> None:
    """The installing admin has a mail about it; copies, should there be any, are one to mail programs."""
    admin = (await _users(product, installation_id))[0]["email"]
    response = await product.marketplace.http.get("/control/mails")
    mine = {one["message_id"] for one in response.json()["mails"] if admin in one["to"]}
    if len(mine) != 1:
        raise NotYet(f"{len(mine)} different mails to {admin}")


def _is_key(point: Point) -> bool:
    """Whether it is the webhook's question for a signing key."""
    return (point.component, point.line) == ("webhook", "talkdesk")


async def _forgetful(process: Supervised) -> None:
    """Killed and started again: whatever it had cached is gone."""
    starts = process.starts
    process.kill()

    async def again() -> None:
        if process.starts == starts:
            raise NotYet("the process was not started again")

    await eventually(again, within=10)
    await process.ready()


class NotMadeError(Exception):
    """This run had no such request: two causes for it met in one pass."""


class NotToldError(Exception):
    """This run wrote no such Kubernetes Event, and all else went well."""


async def _until_met(product: Any, killer: Killer, installation_id: str) -> None:
    """The kill has come, or the install is over and it has not."""
    met = asyncio.create_task(killer.met.wait())
    over = asyncio.create_task(_over(product, installation_id))
    try:
        await asyncio.wait({met, over}, return_when=asyncio.FIRST_COMPLETED)
        if not met.done():
            await asyncio.wait({met}, timeout=AFTERWARDS)
    finally:
        for task in (met, over):
            task.cancel()
        await asyncio.gather(met, over, return_exceptions=True)


async def _survives(product: Any, point: Point) -> str | None:
    """What went wrong with ``point``, or None. Raises NotMadeError, NotToldError."""
    if _is_key(point):
        await _forgetful(product.webhooks[0].process)
    party = (product.webhooks if point.component == "webhook" else product.operators)[0]
    interceptor = party.kubernetes if point.line == "kubernetes" else party.talkdesk
    killer = Killer(point, party.process)
    interceptor.rule = killer
    try:
        installation_id, _ = await product.install(users=2)
        await _until_met(product, killer, installation_id)
        await party.process.ready()
        await _approved(product, installation_id, within=40)
        if not killer.met.is_set() and not _is_told(point):
            raise NotMadeError
    except (NotObserved, NotYet) as problem:
        return f"{point}: {problem}"
    finally:
        interceptor.rule = passing
    users = [user["id"] for user in await _users(product, installation_id)]
    try:
        await eventually(lambda: product.cluster.licensed(installation_id, users=users), within=10)
        await eventually(lambda: _told_once(product, installation_id), within=10)
        await product.marketplace.approved(installation_id)  # once, still
    except (NotObserved, NotYet) as problem:
        return f"{point}: {problem}"
    if not killer.met.is_set():
        raise NotToldError
    return None


async def _users(product: Any, installation_id: str) -> list[dict[str, Any]]:
    state = await product.marketplace.state()
    installation = next(item for item in state["installations"] if item["id"] == installation_id)
    return [user for user in state["users"] if user["account_id"] == installation["account_id"]]


async def _outcome(product: Any, point: Point, *, always: bool) -> tuple[str, str | None]:
    """``ok``, ``--``, ``ev`` or ``NO``, and what went wrong; a request that is not made is waited for again.

    How often an object is written for news that come in one after the other depends on how close they are:
    what only some clean runs had may stay away, what all of them had may not. Events (``ev``: not written)
    are told in the background and only once each: how many there are varies from run to run.
    """
    for _ in range(ATTEMPTS):
        try:
            failure = await _survives(product, point)
        except NotMadeError:
            continue
        except NotToldError:
            return "ev", None
        return ("NO", failure) if failure else ("ok", None)
    return ("NO", f"{point}: the request was not made") if always else ("--", None)


async def _clean_run(product: Any, plane: ControlPlane) -> list[Point]:
    """The points of one install that nothing disturbs, by a webhook that knows no key yet."""
    await _forgetful(product.webhooks[0].process)
    since, heard = plane.audit_position(), len(await product.marketplace.read())
    await eventually_approved(product)
    users = {product.release.user(name): name for name in ("webhook", "operator")}
    return requests_of([*written(plane, since, users), *called((await product.marketplace.read())[heard:])])


async def test_an_install_survives_kill_9_at_every_write_and_call(
    products: Any, control_plane: ControlPlane, capsys: pytest.CaptureFixture[str]
) -> None:
    product = await products.make()
    # The first install fetches what the operator caches afterwards: it is no clean run.
    await eventually_approved(product)
    runs = [await _clean_run(product, control_plane) for _ in range(CLEAN_RUNS)]
    points = list(dict.fromkeys(point for run in runs for point in run))
    always = set.intersection(*map(set, runs))
    shapes = {(point.component, point.line) for point in points}
    assert shapes == {
        (component, line) for component in ("webhook", "operator") for line in ("kubernetes", "talkdesk")
    }
    keys = [point for point in points if _is_key(point)]
    assert {point.moment for point in keys} == {"before", "after"}
    wanted = os.environ.get("KILL", "")
    if wanted == "all":
        chosen = points
    elif wanted:
        chosen = [point for point in points if re.search(wanted, str(point))]
    else:
        others = [point for point in points if not _is_key(point)]
        chosen = [*keys, *sorted(random.Random(SEED).sample(others, len(others) // 4))]
    failures: list[str] = []
    tried: Counter[str] = Counter()
    for number, point in enumerate(chosen, 1):
        began = time.monotonic()
        verdict, failure = await _outcome(product, point, always=point in always)
        tried[verdict] += 1
        with capsys.disabled():
            print(f"  {number:3}/{len(chosen)} {verdict} {time.monotonic() - began:5.1f}s  {point}")
        if failure:
            failures.append(failure)
    if failures and "KILL" in os.environ:
        for party in (*product.webhooks, *product.operators):
            print(party.process.log.read_text()[-20000:])
    assert not failures, "\n".join(failures)
    assert tried["--"] <= len(chosen) // 10, f"too many requests were not made: {tried}"
    events = sum(_is_told(point) for point in chosen)
    assert tried["ev"] <= (events + 1) // 2, f"too many Events were not written: {tried} of {events}"


async def eventually_approved(product: Any) -> str:
    """Install for a new customer; wait for its approval and for all that follows from it."""
    installation_id, _ = await product.install(users=2)
    assert isinstance(installation_id, str)
    await _over(product, installation_id)
    return installation_id


async def _over(product: Any, installation_id: str) -> None:
    """Raises NotObserved where something stays away."""
    await eventually(lambda: product.marketplace.approved(installation_id), within=30)
    await eventually(lambda: _settled(product, installation_id), within=15)
    await eventually(lambda: _trial_told(product, installation_id), within=15)


async def _trial_told(product: Any, installation_id: str) -> None:
    """The event that Talkdesk sends after the approval has been stored."""
    for entry in await product.marketplace.read():
        about = (entry.get("event_type"), entry.get("installation_id"))
        if about == ("app.trial_started", installation_id) and entry["status"] == 200:
            return
    raise NotYet("app.trial_started was not stored")


async def _settled(product: Any, installation_id: str) -> None:
    """The operator has finished with the installation: its status says what Talkdesk answered.

    Only to know when the clean run's list of requests is complete, not as an observation of success.
    """
    stored = await product.cluster.installation(installation_id)
    conditions = (stored.get("status") or {}).get("conditions") or ()
    done = {item["type"] for item in conditions if item["status"] == "True"}
    if not {"Ready", "Notified"} <= done:
        raise NotYet("the operator is not done")
