"""TalkdeskRevocations: applied to the slices at once, marked, and deleted after a while."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from talkdesk_crds.meta import parse_time, time
from talkdesk_crds.user_slice import bucket_of
from talkdesk_kube import Conflict, KubeError, NotFound, resources
from talkdesk_operator import audit
from talkdesk_operator.users import Revoked, held, revoke

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import datetime, timedelta

    from talkdesk_crds.installation import TalkdeskInstallation
    from talkdesk_crds.revocation import TalkdeskRevocation
    from talkdesk_kube import Kube
    from talkdesk_operator.cache import Caches
    from talkdesk_operator.entries import Entry
    from talkdesk_operator.slice_cache import Slice
    from talkdesk_operator.slices import SliceStore


def new_epoch() -> str:
    """An epoch that never was before."""
    return uuid.uuid4().hex


def revoked(revocation: TalkdeskRevocation) -> Revoked:
    """The revocation as the slices see it."""
    return Revoked(
        name=revocation.metadata.name,
        removes=revocation.spec.kind == "Removed",
        users=frozenset(revocation.spec.users),
        applied=revocation.status.applied_at is not None,
        settled=revocation.status.settled_at is not None,
        at=revocation.spec.at,
    )


def deletable_at(revocation: TalkdeskRevocation, *, kept: timedelta) -> datetime | None:
    """When it may be deleted; None while it still holds somebody out, or is not applied."""
    status = revocation.status
    if status.applied_at is None or (revocation.spec.kind == "Removed" and status.settled_at is None):
        return None
    return parse_time(status.applied_at) + kept


def concerned(slices: Iterable[Slice], items: Iterable[Revoked]) -> dict[int, list[Slice]]:
    """The slices, by generation, that anybody whom ``items`` are still about can be in. Pure."""
    users = {
        user for item in items if not (item.settled if item.removes else item.applied) for user in item.users
    }
    wanted: dict[int, set[int]] = {}
    result: dict[int, list[Slice]] = {}
    for one in slices:
        if one.buckets not in wanted:
            wanted[one.buckets] = {bucket_of(user, one.buckets) for user in users}
        if one.bucket in wanted[one.buckets]:
            result.setdefault(one.buckets, []).append(one)
    return result


class RevocationDesk:
    """Handles the revocations of one installation at a time."""

    def __init__(
        self,
        kube: Kube,
        caches: Caches,
        slices: SliceStore,
        clock: Callable[[], datetime],
        *,
        kept: timedelta,
    ) -> None:
        self._kube = kube
        self._caches = caches
        self._slices = slices
        self._clock = clock
        self._kept = kept

    def of(self, installation: TalkdeskInstallation) -> list[TalkdeskRevocation]:
        """Those of ``installation``: app and account must be the same too, the id alone proves nothing."""
        spec = installation.spec
        return [
            one
            for one in self._caches.revocations.by(spec.installation_id)
            if (one.spec.app_id, one.spec.account_id) == (spec.app_id, spec.account_id)
        ]

    def unsettled(self, installation: TalkdeskInstallation) -> frozenset[str]:
        """Names of the removals that still hold somebody out."""
        return frozenset(
            one.metadata.name
            for one in self.of(installation)
            if one.spec.kind == "Removed" and one.status.settled_at is None
        )

    async def apply(self, installation: TalkdeskInstallation) -> bool:
        """Take out of the slices whom revocations take out, and mark those; True where any was new.

        Out of those of every generation: another one may be about to count. Raises KubeError.
        """
        async with self._slices.alone(installation):
            found = self.of(installation)
            new = [one for one in found if one.status.applied_at is None]
            if not new and not held(revoked(one) for one in found):
                return False
            await self._take_out(installation, [revoked(one) for one in found], found)
            for one in new:
                await self._mark(one, {"appliedAt": time(self._clock())})
            return bool(new)

    async def _take_out(
        self,
        installation: TalkdeskInstallation,
        items: Sequence[Revoked],
        found: Sequence[TalkdeskRevocation],
    ) -> None:
        current = self._slices.current(installation).buckets
        before: dict[str, Entry] = {}
        after: dict[str, Entry] = {}
        for buckets, slices in concerned(self._slices.every(installation), items).items():
            changed = {}
            for one in slices:
                users = one.users
                left = revoke(users, items, new_epoch=new_epoch)
                if left != users:
                    changed[one.bucket] = left
                    if buckets == current:
                        before |= users
                        after |= left
            try:
                await self._slices.put(installation, buckets, changed, over=slices)
            except KubeError:
                stored = self._slices.current(installation).users
                await self._tell(
                    installation, before, {name: stored[name] for name in before.keys() & stored}, found
                )
                raise
        await self._tell(installation, before, after, found)

    async def _tell(
        self,
        installation: TalkdeskInstallation,
        before: Mapping[str, Entry],
        after: Mapping[str, Entry],
        found: Sequence[TalkdeskRevocation],
    ) -> None:
        """To the audit log."""
        causes = {user: one.spec.cause for one in found for user in one.spec.users}
        lines = audit.users_changed(
            installation,
            before,
            after,
            cause=lambda user: {"kind": "event", "event": causes.get(user)},
            now=self._clock(),
        )
        await audit.say_each("user access changed", lines)

    async def settle(self, installation: TalkdeskInstallation, settled: frozenset[str]) -> None:
        """A trustworthy list took over from these removals. Raises KubeError.

        Part of what is done :meth:`~talkdesk_operator.slices.SliceStore.alone`: in between, those whom the
        list brought back would be taken out again.
        """
        for one in self.of(installation):
            if one.metadata.name in settled and one.status.settled_at is None:
                await self._mark(one, {"settledAt": time(self._clock())})

    async def sweep(self, installation: TalkdeskInstallation) -> datetime | None:
        """Delete those that are over; when the next one will be. Raises KubeError."""
        now, upcoming = self._clock(), []
        for one in self.of(installation):
            at = deletable_at(one, kept=self._kept)
            if at is None:
                continue
            if at > now:
                upcoming.append(at)
                continue
            metadata = one.metadata
            try:
                await self._kube.delete(
                    resources.REVOCATIONS, metadata.name, namespace=metadata.namespace, uid=metadata.uid
                )
            except (NotFound, Conflict):
                continue
            self._caches.revocations.view.forget(one.to_json())
        return min(upcoming, default=None)

    async def _mark(self, one: TalkdeskRevocation, marks: dict[str, str]) -> None:
        try:
            stored = await self._kube.merge_patch(
                resources.REVOCATIONS,
                one.metadata.name,
                {"status": marks},
                namespace=one.metadata.namespace,
                subresource="status",
            )
        except NotFound:
            return
        stored["metadata"].pop("managedFields", None)
        self._caches.revocations.view.remember(stored)
