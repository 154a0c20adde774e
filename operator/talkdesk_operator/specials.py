"""Parts of a tenant that take more than applying: drawn values, copies, and the Job that runs once."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from talkdesk_crds.conditions import Reason
from talkdesk_kube import AlreadyExists, Conflict, Forbidden, Invalid, NotFound, Obj
from talkdesk_kube.resources import JOBS, SECRETS
from talkdesk_operator import inventory
from talkdesk_operator.confirm import Readiness
from talkdesk_operator.gate import Verdict, judge
from talkdesk_operator.inventory import Record, object_id
from talkdesk_operator.sources import drawn

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from talkdesk_kube import Kube
    from talkdesk_operator.cache import Caches
    from talkdesk_operator.round import Round
    from talkdesk_operator.sources import Sources
    from talkdesk_operator.tenant import Tenant
    from talkdesk_operator.tenant.making import Copied, Generated, Once

#: ``Record.wanted`` of a generated Secret: that it was made is all that may be known of it.
_MADE = "made"


class Writer(Protocol):
    """How objects are written in a tenant."""

    async def plain(self, round_: Round, item: Obj) -> None:
        """Apply ``item`` if it is not as it should be, and note its record."""

    async def send(self, tenant: Tenant, item: Obj) -> Obj:
        """Apply ``item``."""

    async def patiently(self, tenant: Tenant, send: Callable[[], Awaitable[Obj]]) -> Obj:
        """``send()``, repeated while a young tenant's RoleBinding may not act yet."""


class Specials:
    """Makes them; each method notes records and what happened in its ``round_``."""

    def __init__(self, kube: Kube, caches: Caches, sources: Sources, write: Writer) -> None:
        self._kube = kube
        self._caches = caches
        self._sources = sources
        self._write = write

    async def generate(self, round_: Round, one: Generated) -> None:
        """Make the Secret unless it is there."""
        name, tenant = object_id(one.obj), round_.tenant
        record = round_.known.records.get(name) or Record()
        if record.wanted is not None and (not round_.again or await self._is_there(tenant, one.obj)):
            return
        there = Record(uid=record.uid, wanted=_MADE, use=inventory.GENERATED)
        try:
            made = await self._write.patiently(
                tenant, lambda: self._kube.create(SECRETS, {**one.obj, "data": drawn(one.keys)})
            )
        except (AlreadyExists, Forbidden) as error:
            # A quota that is full refuses it before anybody looks whether it is there.
            full = isinstance(error, Forbidden) and error.quota_exceeded
            if not isinstance(error, AlreadyExists) and not (full and await self._is_there(tenant, one.obj)):
                raise
            round_.records[name] = there
            return
        round_.records[name] = replace(there, uid=made["metadata"].get("uid"))
        round_.applied.written.append(f"{name[1]} {name[2]}")
        earlier = round_.before.records.get(name)
        if earlier is not None and earlier.wanted is not None:
            round_.applied.remade.append(name[2])

    async def _is_there(self, tenant: Tenant, secret: Obj) -> bool:
        """By a patch that changes nothing, and shows nothing of the content: nothing here may read Secrets.

        Making it would tell as well, but counts against a quota for a while, and is refused by a full one.
        """
        metadata = secret["metadata"]
        try:
            await self._write.patiently(
                tenant,
                lambda: self._kube.merge_patch(
                    SECRETS, metadata["name"], {}, namespace=metadata["namespace"], metadata_only=True
                ),
            )
        except NotFound:
            return False
        return True

    async def copy(self, round_: Round, one: Copied) -> None:
        """Bring a copy to what its source is now; a Secret's is read only where it may have changed."""
        name, tenant = object_id(one.obj), round_.tenant
        if name[1] == "ConfigMap":
            await self._write.plain(round_, self._sources.config_map(tenant, one.obj))
            return
        record = round_.known.records.get(name)
        known = record is not None and record.wanted is not None
        if known and not round_.again and not self._sources.due(tenant, name[2]):
            return
        filled, mark = await self._sources.secret(tenant, one.obj)
        if record is not None and record.wanted == mark and not round_.again:
            return
        try:
            stored = await self._write.send(tenant, filled)
        except Invalid as error:
            uid = record.uid if record is not None else None
            if uid is None or all(cause.field != "type" for cause in error.status.causes):
                raise
            # No Secret ever changes its type: another one takes its place. Gone already is as good.
            with contextlib.suppress(NotFound, Conflict):
                await self._kube.delete(SECRETS, name[2], namespace=tenant.name, uid=uid)
            stored = await self._write.send(tenant, filled)
        round_.applied.written.append(f"{name[1]} {name[2]}")
        round_.records[name] = Record(uid=stored["metadata"].get("uid"), wanted=mark)

    async def seed(self, round_: Round, sample: Once) -> bool:
        """Start the sample-data Job, or see how it goes; True once one has succeeded."""
        name, tenant, applied = object_id(sample.obj), round_.tenant, round_.applied
        for other, record in round_.known.records.items():
            state = self._caches.children["Job"].get(tenant.name, other[2])
            if record.use != inventory.SAMPLE or other == name or state is None:
                continue
            verdict = judge([(other[1], other[2], state)])
            if verdict.readiness is Readiness.USABLE:
                return True
            if verdict.readiness is Readiness.NOT_YET:
                applied.waiting = Verdict(Readiness.NOT_YET, Reason.SAMPLE_DATA_RUNNING, verdict.message)
                return False
        live = self.job(sample.obj)
        if live is None:
            await self._write.plain(round_, sample.obj)
            live = self.job(sample.obj)
        verdict = judge([(name[1], name[2], live)])
        uid = live["metadata"].get("uid") if live is not None else None
        round_.records[name] = Record(uid=uid, use=inventory.SAMPLE)
        if verdict.readiness is Readiness.FAILED:
            applied.waiting = Verdict(Readiness.FAILED, Reason.SAMPLE_DATA_FAILED, verdict.message)
        elif verdict.readiness is Readiness.NOT_YET:
            applied.waiting = Verdict(Readiness.NOT_YET, Reason.SAMPLE_DATA_RUNNING, verdict.message)
        return verdict.readiness is Readiness.USABLE

    async def let_go(self, sample: Once) -> None:
        """Its success is on record: now the Job may be cleaned up as the app says."""
        if sample.keep_seconds is None:
            return
        metadata = sample.obj["metadata"]
        patch = {"spec": {"ttlSecondsAfterFinished": sample.keep_seconds}}
        with contextlib.suppress(NotFound):
            await self._kube.merge_patch(JOBS, metadata["name"], patch, namespace=metadata["namespace"])

    def job(self, job: Obj) -> Obj | None:
        """The Job as the watch shows it."""
        metadata = job["metadata"]
        return self._caches.children["Job"].get(metadata["namespace"], metadata["name"])
