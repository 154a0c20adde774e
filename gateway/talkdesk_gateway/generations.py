"""Which generation of an installation's slices counts. Pure, told what the two watches show.

Two watches have no common order: a status may name slices that the slice watch has not shown yet. It is used
only once that watch has reached the resourceVersion which the status names; until then the last one that was
usable stays. Both are of one life of the installation: another uid begins anew.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from talkdesk_crds.user_slice import LicensedUser, bucket_of
from talkdesk_gateway.compact import licensed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from talkdesk_crds.installation import Users
    from talkdesk_gateway.compact import Entry
    from talkdesk_kube import Obj

Name = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Generation:
    """The slices that count: the users of each bucket. A bucket that is missing holds nobody."""

    buckets: int
    parts: Mapping[int, Mapping[str, Entry]]

    @property
    def complete(self) -> bool:
        """Every bucket is there: who is in none of them is not licensed."""
        return len(self.parts) == self.buckets

    def user(self, identifier: str) -> LicensedUser | None:
        """The user's entry, from the one bucket that may hold it; None where there is none."""
        part = self.parts.get(bucket_of(identifier, self.buckets))
        entry = part.get(identifier) if part is not None else None
        return licensed(entry) if entry is not None else None


def generation(slices: Iterable[Obj], buckets: int) -> Generation:
    """Those of ``slices`` (as :func:`~talkdesk_gateway.compact.user_slice` makes them) that belong to it."""
    parts = {}
    for one in slices:
        spec = one["spec"]
        if spec["buckets"] == buckets and 0 <= spec["bucket"] < buckets:
            parts[spec["bucket"]] = one["users"]
    return Generation(buckets, parts)


class Counting:
    """How many buckets the generation that counts has, by installation.

    :param reached: the resourceVersion that the slice watch has reached, "" before its first list.
    """

    def __init__(self, reached: Callable[[], str]) -> None:
        self._reached = reached
        self._usable: dict[Name, tuple[str, int]] = {}
        self._waiting: dict[Name, list[tuple[str, Users]]] = {}

    @property
    def waiting(self) -> tuple[Name, ...]:
        """Installations whose status names slices that the watch has not reached."""
        return tuple(self._waiting)

    def told(self, name: Name, uid: str, users: Users | None) -> None:
        """The installation's status says ``users``. Call it for each change, in the watch's order."""
        known = self._usable.get(name)
        if users is None or (known is not None and known[0] != uid):
            self.gone(name)
        if users is None:
            return
        # Of two statuses with as many buckets the later one names the same slices, at a later moment.
        before = (one for one in self._waiting.get(name, ()) if one[0] == uid)
        self._waiting[name] = [one for one in before if one[1].buckets != users.buckets]
        self._waiting[name].append((uid, users))
        self.settle(name)

    def gone(self, name: Name) -> None:
        """The installation was deleted."""
        self._usable.pop(name, None)
        self._waiting.pop(name, None)

    def settle(self, name: Name) -> bool:
        """Use the last status of ``name`` that the slice watch has reached; True where that changed."""
        waiting = self._waiting.get(name, [])
        reached = self._reached()
        there = [one for one in waiting if _is_at(reached, one[1].resource_version)]
        if not there:
            return False
        later = waiting[waiting.index(there[-1]) + 1 :]
        if later:
            self._waiting[name] = later
        else:
            del self._waiting[name]
        uid, users = there[-1]
        changed = self._usable.get(name) != (uid, users.buckets)
        self._usable[name] = (uid, users.buckets)
        return changed

    def buckets(self, name: Name) -> int | None:
        """Of the generation that counts; None where none does."""
        usable = self._usable.get(name)
        return usable[1] if usable is not None else None


def _is_at(reached: str, named: str) -> bool:
    # What is no number cannot be compared, and so has not been reached.
    return reached.isdecimal() and named.isdecimal() and int(reached) >= int(named)
