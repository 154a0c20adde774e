"""Who may enter: user list, revocations and the slices as they are, folded into slices as they should be.

Pure. Slices are the only copy of the licensed users, so every function here starts from them. What keeps
sessions apart is the epoch: an entry that is made anew, or whose user signed out, gets a fresh one, and an
entry that stays keeps its own.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from talkdesk_crds.user_slice import bucket_of
from talkdesk_operator.entries import Entry
from talkdesk_operator.moments import moment as moment_of

if TYPE_CHECKING:
    from talkdesk_operator.user_rules import UserRules

#: Users per slice on average; hashing spreads unevenly, and the kind allows 400 at most.
AVERAGE_PER_SLICE = 200
MOST_PER_SLICE = 400
MOST_BUCKETS = 65536
#: How far two clocks of Talkdesk's may be apart.
SKEW = timedelta(seconds=5)

Users = Mapping[str, Entry]
NewEpoch = Callable[[], str]


@dataclass(frozen=True, slots=True)
class ListedUser:
    """A user as Talkdesk's list of an installation's users shows them."""

    id: str
    email: str | None = None
    name: str | None = None
    active: bool = True


@dataclass(frozen=True)
class Revoked:
    """A TalkdeskRevocation, as far as the slices are concerned."""

    name: str
    removes: bool
    users: frozenset[str]
    applied: bool
    settled: bool
    #: When it happened, by Talkdesk's clock; None where it did not say.
    at: str | None = None


@dataclass(frozen=True)
class TalkdeskRoles:
    """The users' roles at Talkdesk, by user id. Where they are not ``known``, who has a role keeps it."""

    by_user: Mapping[str, Collection[str]] = field(default_factory=dict)
    known: bool = True


def revoke(current: Users, revocations: Iterable[Revoked], *, new_epoch: NewEpoch) -> dict[str, Entry]:
    """``current`` without the users who were removed, and with fresh epochs for those who signed out."""
    items = list(revocations)
    out = held(items)
    signed_out = {user for item in items if not item.removes and not item.applied for user in item.users}
    return {
        user: replace(entry, epoch=new_epoch()) if user in signed_out else entry
        for user, entry in current.items()
        if user not in out
    }


def held(revocations: Iterable[Revoked], *, settling: frozenset[str] = frozenset()) -> frozenset[str]:
    """Users kept out whatever a list says: removed, and no trustworthy list has been seen since.

    ``settling`` names revocations that the list about to be merged settles.
    """
    return frozenset(
        user
        for item in revocations
        if item.removes and not item.settled and item.name not in settling
        for user in item.users
    )


def merge(
    current: Users,
    listed: Sequence[ListedUser],
    *,
    held: frozenset[str],
    admin: str | None,
    rules: UserRules,
    roles: TalkdeskRoles,
    new_epoch: NewEpoch,
) -> dict[str, Entry]:
    """``current`` brought to a complete list. Not listed and held users are out, and inactive ones by rule.

    ``admin`` is the id of the installing admin, who alone gets the flag. Whatever else changes about a user
    changes no epoch: nobody has to sign in again for a new name or role.
    """
    result = {}
    for user in listed:
        if user.id in held or not (user.active or rules.inactive):
            continue
        before = current.get(user.id)
        is_admin = user.id == admin
        role = rules.role(user.id, admin=is_admin, talkdesk=roles.by_user.get(user.id, ()))
        if not roles.known and before is not None and not is_admin and user.id not in rules.assigned:
            role = before.role
        entry = Entry(
            email=user.email,
            name=user.name,
            active=user.active,
            role=role,
            admin=is_admin,
            epoch=before.epoch if before is not None else new_epoch(),
        )
        result[user.id] = entry if entry != before else before
    return result


def trustworthy(
    before: tuple[str, str | None], after: tuple[str, str | None], *, settled_states: frozenset[str]
) -> bool:
    """True where a list may overrule removals that were seen before the reading ``before`` began.

    ``before`` and ``after`` are the (state, updated_at) of two readings of the installation around the list.
    """
    return before == after and before[0] in settled_states


def missing(known: Iterable[str], listed: Iterable[ListedUser], held: frozenset[str]) -> frozenset[str]:
    """Users who may enter and are not listed any more, although no removal has said so."""
    return frozenset(known) - held - {user.id for user in listed}


def settleable(
    moment: tuple[str, str | None],
    seen: frozenset[str],
    removals: Iterable[Revoked],
    *,
    settled_states: frozenset[str],
) -> frozenset[str]:
    """Which of the removals ``seen`` before the reading ``moment`` a list may settle beside that reading.

    Talkdesk's API may lag behind its events: what became so before a removal says nothing about it. Both
    times are Talkdesk's, of machines that may be :data:`SKEW` apart. Where one is not known, neither counts.
    """
    state, updated_at = moment
    if state not in settled_states:
        return frozenset()
    shown = moment_of(updated_at)
    if shown is None:
        return seen
    return seen - {
        one.name for one in removals if (at := moment_of(one.at)) is not None and at - shown > SKEW
    }


def settled_by(
    before: tuple[str, str | None],
    after: tuple[str, str | None],
    seen: frozenset[str],
    *,
    settled_states: frozenset[str],
) -> frozenset[str] | None:
    """Which of the removals ``seen`` before the reading ``before`` a list between two readings settles.

    None where the list does not count at all: something happened while it was read, and since it has pages,
    somebody may be on none of them.
    """
    if before != after:
        return None
    return seen if trustworthy(before, after, settled_states=settled_states) else frozenset()


def buckets_for(users: Iterable[str], *, current: int) -> int:
    """How many buckets a generation needs: a power of two, never fewer than ``current``.

    Shrinking would rewrite everything and gain nothing; so a generation only ever grows.
    """
    ids = list(users)
    count = max(current, 1)
    while count < MOST_BUCKETS and (
        len(ids) > AVERAGE_PER_SLICE * count or _fullest(ids, count) > MOST_PER_SLICE
    ):
        count *= 2
    return count


def split(users: Users, buckets: int) -> dict[int, dict[str, Entry]]:
    """``users`` by bucket; every bucket is there, the empty ones too, so that a missing slice shows."""
    result: dict[int, dict[str, Entry]] = {bucket: {} for bucket in range(buckets)}
    for user, entry in sorted(users.items()):
        result[bucket_of(user, buckets)][user] = entry
    return result


def _fullest(ids: Sequence[str], buckets: int) -> int:
    if len(ids) <= MOST_PER_SLICE:
        return len(ids)
    sizes: dict[int, int] = {}
    for user in ids:
        bucket = bucket_of(user, buckets)
        sizes[bucket] = sizes.get(bucket, 0) + 1
    return max(sizes.values(), default=0)
