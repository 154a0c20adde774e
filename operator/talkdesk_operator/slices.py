"""The licensed users of one installation, as TalkdeskUserSlices: read as a whole, written slice by slice."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from talkdesk_crds import names
from talkdesk_crds.installation import Users as UsersStatus
from talkdesk_kube import Conflict, NotFound, resources
from talkdesk_operator.owned import FIELD_MANAGER
from talkdesk_operator.users import buckets_for, split

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from talkdesk_crds.installation import TalkdeskInstallation
    from talkdesk_crds.user_slice import LicensedUser, TalkdeskUserSlice
    from talkdesk_kube import Kube, Obj
    from talkdesk_operator.cache import Caches

#: Slices written at once for one installation.
_AT_ONCE = 8


@dataclass(frozen=True)
class Generation:
    """The slices that count. ``complete`` is False where one is missing: its users are then unknown."""

    buckets: int
    slices: Mapping[int, TalkdeskUserSlice]

    @property
    def complete(self) -> bool:
        """Every bucket is there."""
        return len(self.slices) == self.buckets

    @property
    def users(self) -> dict[str, LicensedUser]:
        """Everyone in it."""
        return {user: entry for one in self.slices.values() for user, entry in one.spec.users.items()}

    @property
    def status(self) -> UsersStatus | None:
        """What status says of it; None while it is not complete."""
        if not self.complete:
            return None
        version = max(int(one.metadata.resource_version or 0) for one in self.slices.values())
        count = sum(len(one.spec.users) for one in self.slices.values())
        return UsersStatus(count=count, buckets=self.buckets, resource_version=str(version))


def generation(slices: Iterable[TalkdeskUserSlice], named: UsersStatus | None) -> Generation:
    """The generation that status names; without one, the largest complete one, else the largest."""
    by_buckets: dict[int, dict[int, TalkdeskUserSlice]] = {}
    for one in slices:
        by_buckets.setdefault(one.spec.buckets, {})[one.spec.bucket] = one
    if named is not None:
        return Generation(named.buckets, by_buckets.get(named.buckets, {}))
    if not by_buckets:
        return Generation(1, {})
    buckets = max(by_buckets, key=lambda number: (len(by_buckets[number]) == number, number))
    return Generation(buckets, by_buckets[buckets])


class SliceStore:
    """Reads and writes slices."""

    def __init__(self, kube: Kube, caches: Caches) -> None:
        self._kube = kube
        self._caches = caches

    def current(self, installation: TalkdeskInstallation) -> Generation:
        """The installation's slices that count."""
        found = self._caches.slices.by(installation.metadata.name)
        return generation(found, installation.status.users)

    async def write(
        self, installation: TalkdeskInstallation, users: Mapping[str, LicensedUser], *, whole: bool = True
    ) -> Generation:
        """Make the slices hold ``users``; only those that differ are written. Raises KubeError.

        With ``whole`` missing slices are made and, if there are too many users, a new generation; without it
        only slices that exist are changed, for then ``users`` may not be everyone.
        """
        current = self.current(installation)
        buckets = buckets_for(users, current=current.buckets) if whole else current.buckets
        parts = split(users, buckets)
        existing = current.slices if buckets == current.buckets else {}
        if not existing:
            found = self._caches.slices.by(installation.metadata.name)
            existing = {one.spec.bucket: one for one in found if one.spec.buckets == buckets}
        changed = {
            bucket: part
            for bucket, part in parts.items()
            if (bucket in existing and dict(existing[bucket].spec.users) != part)
            or (whole and bucket not in existing)
        }
        limit = asyncio.Semaphore(_AT_ONCE)

        async def put(bucket: int, part: Mapping[str, LicensedUser]) -> None:
            async with limit:
                stored = await self._kube.apply(
                    _slice(installation, buckets, bucket, part), field_manager=FIELD_MANAGER
                )
            stored["metadata"].pop("managedFields", None)
            self._caches.slices.view.remember(stored)

        await asyncio.gather(*(put(bucket, part) for bucket, part in changed.items()))
        found = self._caches.slices.by(installation.metadata.name)
        return Generation(buckets, {one.spec.bucket: one for one in found if one.spec.buckets == buckets})

    async def prune(self, installation: TalkdeskInstallation) -> None:
        """Delete the slices of generations that the *stored* status no longer names. Raises KubeError."""
        named = installation.status.users
        if named is None or not self.current(installation).complete:
            return
        namespace = installation.metadata.namespace or ""
        for one in self._caches.slices.by(installation.metadata.name):
            if one.spec.buckets == named.buckets:
                continue
            metadata = one.metadata
            try:
                await self._kube.delete(
                    resources.USER_SLICES, metadata.name, namespace=namespace, uid=metadata.uid
                )
            except (NotFound, Conflict):
                continue
            self._caches.slices.view.forget(one.to_json())


def _slice(
    installation: TalkdeskInstallation, buckets: int, bucket: int, users: Mapping[str, LicensedUser]
) -> Obj:
    metadata, spec = installation.metadata, installation.spec
    return {
        "apiVersion": names.API_VERSION,
        "kind": "TalkdeskUserSlice",
        "metadata": {
            "name": names.slice_name(metadata.name, buckets, bucket),
            "namespace": metadata.namespace,
            "labels": {
                names.APP_LABEL: names.label_value(spec.app_id),
                names.ACCOUNT_LABEL: names.label_value(spec.account_id),
                names.INSTALLATION_LABEL: names.label_value(spec.installation_id),
            },
            # Users go with the installation that licensed them.
            "ownerReferences": [
                {
                    "apiVersion": names.API_VERSION,
                    "kind": "TalkdeskInstallation",
                    "name": metadata.name,
                    "uid": metadata.uid,
                }
            ],
        },
        "spec": {
            "installation": metadata.name,
            "buckets": buckets,
            "bucket": bucket,
            "users": {user: entry.to_json() for user, entry in users.items()},
        },
    }
