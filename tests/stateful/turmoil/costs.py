"""What each step of a life costs: writes at the API server, calls to Talkdesk, as others saw them."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from talkdesk_crds import names
from talkdesk_kube import resources
from turmoil import ending
from turmoil.actions import customers, platform
from turmoil.round import PLANS
from turmoil.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping

    from turmoil.ledger import Entry
    from turmoil.round import Round

#: How often each request was made, by its name.
Costs = Counter[str]

_WRITES = {"create", "update", "patch", "delete", "deletecollection"}
#: Beside all steps, for ever: the Lease; and what the API server is asked about ourselves.
_NOT_COUNTED = {"leases", "selfsubjectreviews", "selfsubjectaccessreviews"}
_WITHIN = 60.0


async def life(made: Round) -> AsyncIterator[tuple[str, Costs]]:
    """One customer's life, step by step; after each everything has become quiet."""
    meter = _Meter(made)
    await meter.begin()
    slot = made.slots[0]
    first = await made.install(slot)
    assert first is not None
    yield "install", await meter.read(first, "Allowed")

    await made.poke(first)
    yield "resync without news", await meter.read(first, "Allowed", token=True)

    await customers.logout(made, 0, 0)
    yield "a user logs out", await meter.read(first, "Allowed")

    await customers.exchange_users(made, 0, 0)
    yield "one user more, one less", await meter.read(first, "Allowed")

    await platform.end_trial(made, 0, 0)
    yield "the trial ends", await meter.read(first, "Refused")

    await customers.update(made, (await made.truth())[first], plan=PLANS[1][0])
    yield "an upgrade", await meter.read(first, "Allowed")

    await customers.update(made, (await made.truth())[first], plan=PLANS[2][0])
    yield "another plan", await meter.read(first, "Allowed")

    await platform.rotate(made, 0, 0)
    await meter.call("/credentials/")
    yield "new credentials", await meter.read(first, "Allowed")

    await customers.uninstall(made, 0, 0)
    yield "uninstall", await meter.read(first, "Refused")

    second = await made.install(slot, plan=1)
    assert second is not None
    yield "reinstall", await meter.read(second, "Allowed")

    await customers.uninstall(made, 0, 0)
    await meter.read(second, "Refused")
    await made.arena.kube.merge_patch(
        resources.APPS,
        made.apps[slot.app_id],
        {"spec": {"retention": {"seconds": 0}}},
        namespace=made.arena.release.namespace,
    )

    async def nothing_left() -> bool:
        return not await ending.orphans(made)

    assert await until(nothing_left, within=_WITHIN), await ending.orphans(made)
    yield "the end of the retention", await meter.read(second, None)


class _Meter:
    """Reads both books from where it read them last."""

    def __init__(self, made: Round) -> None:
        self._made = made
        self._audit = self._ledger = 0

    async def begin(self) -> None:
        """Count from here."""
        await ending.silence(self._made, self._made.arena.plane.audit_position())
        self._audit = self._made.arena.plane.audit_position()
        self._ledger = self._made.arena.ledger.position

    async def call(self, part: str) -> None:
        """Wait for a call to Talkdesk whose URL has ``part`` in it."""
        ledger = self._made.arena.ledger
        assert await ledger.until(
            lambda entry: part in (entry["url"] or ""), since=self._ledger, within=_WITHIN
        )

    async def read(self, installation: str, access: str | None, *, token: bool = False) -> Costs:
        """What the step cost, once it has ended: nothing pending, ``access`` stored, and silence."""
        made = self._made
        assert await made.all_settled(within=_WITHIN)
        name = names.installation_name(installation)

        async def arrived() -> bool:
            stored = made.arena.eyes.installation(name) or {}
            status, metadata = stored.get("status") or {}, stored.get("metadata") or {}
            if access is not None and (status.get("access") or {}).get("state") != access:
                return False
            asked = (metadata.get("annotations") or {}).get(names.RESYNC_ANNOTATION)
            return not token or status.get("observedResync") == asked

        assert await until(arrived, within=_WITHIN), made.arena.eyes.installation(name)
        await ending.silence(made, self._audit)
        arena = made.arena
        users = {arena.release.user(component): component for component in ("webhook", "operator")}
        counted = writes(arena.plane.audit(since=self._audit), users) + calls(
            arena.ledger.entries[self._ledger :]
        )
        self._audit, self._ledger = arena.plane.audit_position(), arena.ledger.position
        return counted


def writes(entries: Iterable[Mapping[str, Any]], users: Mapping[str, str]) -> Costs:
    """``component: verb resource`` of an audit log; a server-side apply is a patch, a dry run a rehearsal."""
    found: Costs = Counter()
    for entry in entries:
        target = entry.get("objectRef") or {}
        component = users.get(entry["user"]["username"])
        if component is None or entry["verb"] not in _WRITES or target.get("resource") in _NOT_COUNTED:
            continue
        what = "/".join(part for part in (target.get("resource"), target.get("subresource")) if part)
        if what == "configmaps":
            what = "account record" if target.get("name") == "talkdesk-account" else "inventory"
        verb = "rehearse" if "dryRun=" in entry["requestURI"] else entry["verb"]
        found[f"{component}: {verb} {what}"] += 1
    return found


#: Of a call to Talkdesk, by the end of its path.
_CALLS = (
    ("/oauth/token", "token"),
    ("/account", "account"),
    (r"/installations/[^/]+", "installation"),
    (r"/installations/[^/]+/users", "users, a page"),
    (r"/installations/[^/]+/subscription", "subscription"),
    (r"/installations/[^/]+/trial", "trial"),
    (r"/installations/[^/]+/state", "the answer"),
    (r"/installations/[^/]+/credentials.*", "credentials"),
)


def calls(entries: Iterable[Entry]) -> Costs:
    """``Talkdesk: method what`` of a ledger."""
    found: Costs = Counter()
    for entry in entries:
        if entry["kind"] not in {"token", "api", "key"}:
            continue
        path = urlsplit(entry["url"]).path
        what = "signature key" if entry["kind"] == "key" else path
        what = next((name for end, name in _CALLS if re.search(f"{end}$", path)), what)
        found[f"Talkdesk: {entry['method']} {what}"] += 1
    return found
