"""The licensed users of one installation, as TalkdeskUserSlices: read as a whole, written slice by slice."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from talkdesk_crds import names
from talkdesk_crds.installation import Users as UsersStatus
from talkdesk_kube import Conflict, NotFound, resources
from talkdesk_operator.entries import encode
from talkdesk_operator.owned import FIELD_MANAGER
from talkdesk_operator.users import buckets_for, split

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from talkdesk_crds.installation import TalkdeskInstallation
    from talkdesk_kube import Kube, Obj
    from talkdesk_operator.cache import Caches
    from talkdesk_operator.entries import Entry
    from talkdesk_operator.slice_cache import Slice

#: Slices written at once for one installation.
_AT_ONCE = 8


@dataclass(frozen=True)
class Generation:
    """The slices that count. ``complete`` is False where one is missing: its users are then unknown."""

    buckets: int
    slices: Mapping[int, Slice]

    @property
    def complete(self) -> bool:
        """Every bucket is there."""
        return len(self.slices) == self.buckets

    @property
    def users(self) -> dict[str, Entry]:
        """Everyone in it; unpacked at each call."""
        return {user: entry for one in self.slices.values() for user, entry in one.users.items()}

    @property
    def status(self) -> UsersStatus | None:
        """What status says of it; None while it is not complete."""
        if not self.complete:
            return None
        version = max(one.version for one in self.slices.values())
        count = sum(one.count for one in self.slices.values())
        return UsersStatus(count=count, buckets=self.buckets, resource_version=str(version))


def generation(slices: Iterable[Slice], named: UsersStatus | None) -> Generation:
    """The generation that status names; without one, the largest complete one, else the largest."""
    by_buckets: dict[int, dict[int, Slice]] = {}
    for one in slices:
        by_buckets.setdefault(one.buckets, {})[one.bucket] = one
    if named is not None:
        return Generation(named.buckets, by_buckets.get(named.buckets, {}))
    if not by_buckets:
        return Generation(1, {})
    buckets = max(by_buckets, key=lambda number: (len(by_buckets[number]) == number, number))
    return Generation(buckets, by_buckets[buckets])


class SliceStore:
    """Reads and writes slices. Who decides by what they hold writes inside :meth:`alone`."""

    def __init__(self, kube: Kube, caches: Caches) -> None:
        self._kube = kube
        self._caches = caches
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def alone(self, installation: TalkdeskInstallation) -> asyncio.Lock:
        """``async with``: nobody else writes this installation's slices meanwhile."""
        name = installation.metadata.name
        lock = self._locks.get(name)
        if lock is None:
            lock = self._locks[name] = asyncio.Lock()
        return lock

    def current(self, installation: TalkdeskInstallation) -> Generation:
        """The installation's slices that count."""
        return generation(self.every(installation), installation.status.users)

    def every(self, installation: TalkdeskInstallation) -> list[Slice]:
        """Those of other generations as well: one that is being made, and one that is still to be deleted."""
        return self._caches.slices.by(installation.metadata.name)

    async def write(self, installation: TalkdeskInstallation, users: Mapping[str, Entry]) -> Generation:
        """Make the slices hold ``users``; only those that differ are written. Raises KubeError.

        Missing slices are made and, if there are too many users, a new generation.
        """
        current = self.current(installation)
        buckets = buckets_for(users, current=current.buckets)
        existing = {one.bucket: one for one in self.every(installation) if one.buckets == buckets}
        changed = {
            bucket: part
            for bucket, part in split(users, buckets).items()
            if bucket not in existing or existing[bucket].content != encode(part)
        }
        await self.put(installation, buckets, changed, over=existing.values())
        found = self.every(installation)
        return Generation(buckets, {one.bucket: one for one in found if one.buckets == buckets})

    async def put(
        self,
        installation: TalkdeskInstallation,
        buckets: int,
        parts: Mapping[int, Mapping[str, Entry]],
        *,
        over: Iterable[Slice],
    ) -> None:
        """Write these buckets of one generation; when it ends, no write of it is under way any more.

        :param over: the slices that ``parts`` were made of. One that has changed since is not overwritten.

        Raises the first KubeError once all were tried, Conflict where a slice is not that of ``over``.
        """
        limit = asyncio.Semaphore(_AT_ONCE)
        versions = {one.bucket: str(one.version) for one in over}

        async def put(bucket: int, part: Mapping[str, Entry]) -> None:
            wanted = _slice(installation, buckets, bucket, part)
            if bucket in versions:
                # A write that comes late, or from who leads no more, must not bring back what went meanwhile.
                wanted["metadata"]["resourceVersion"] = versions[bucket]
            async with limit:
                stored = await self._kube.apply(wanted, field_manager=FIELD_MANAGER)
            self._caches.slices.remember(stored)

        results = await asyncio.gather(
            *(put(bucket, part) for bucket, part in parts.items()), return_exceptions=True
        )
        for result in results:
            if isinstance(result, BaseException):
                raise result

    async def prune(self, installation: TalkdeskInstallation) -> None:
        """Delete the slices of generations that the *stored* status no longer names. Raises KubeError."""
        named = installation.status.users
        if named is None or not self.current(installation).complete:
            return
        old = [one for one in self.every(installation) if one.buckets != named.buckets]
        for one in old:
            metadata = one.identity["metadata"]
            try:
                await self._kube.delete(
                    resources.USER_SLICES,
                    metadata["name"],
                    namespace=metadata["namespace"],
                    uid=metadata["uid"],
                )
            except (NotFound, Conflict):
                continue
            self._caches.slices.forget(one)


def _slice(installation: TalkdeskInstallation, buckets: int, bucket: int, users: Mapping[str, Entry]) -> Obj:
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
