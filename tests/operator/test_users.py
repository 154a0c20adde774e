"""Users and revocations: whatever the order, nobody enters who was taken out."""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from talkdesk_crds.revocation import TalkdeskRevocation
from talkdesk_operator import users
from talkdesk_operator.confirm import SETTLED_STATES
from talkdesk_operator.entries import Entry
from talkdesk_operator.revocations import revoked
from talkdesk_operator.user_rules import UserRules
from talkdesk_operator.users import ListedUser, Revoked, TalkdeskRoles

if TYPE_CHECKING:
    from collections.abc import Callable

USER_IDS = ("ada", "bob", "cyd", "dan")


def epochs() -> Callable[[], str]:
    numbers = count()
    return lambda: f"fresh-{next(numbers)}"


def entry(epoch: str, **fields: Any) -> Entry:
    return Entry(epoch, **fields)


def removal(*ids: str, settled: bool = False, applied: bool = False, name: str = "r") -> Revoked:
    return Revoked(name=name, removes=True, users=frozenset(ids), applied=applied, settled=settled)


def sign_out(*ids: str, applied: bool = False, name: str = "s") -> Revoked:
    return Revoked(name=name, removes=False, users=frozenset(ids), applied=applied, settled=False)


def merge(
    current: dict[str, Entry],
    listed: list[ListedUser],
    *,
    held: frozenset[str] = frozenset(),
    admin: str | None = None,
    rules: UserRules | None = None,
    roles: TalkdeskRoles | None = None,
    new_epoch: Callable[[], str] | None = None,
) -> dict[str, Entry]:
    return users.merge(
        current,
        listed,
        held=held,
        admin=admin,
        rules=rules or UserRules(),
        roles=roles or TalkdeskRoles(),
        new_epoch=new_epoch or epochs(),
    )


def test_an_unchanged_entry_keeps_its_epoch_and_a_new_one_gets_a_fresh_one() -> None:
    merged = merge({"ada": entry("old")}, [ListedUser("ada", name="Ada"), ListedUser("bob")])
    assert merged["ada"].epoch == "old"
    assert merged["ada"].name == "Ada"
    assert merged["bob"].epoch == "fresh-0"


def test_who_is_not_listed_or_not_active_is_out() -> None:
    merged = merge(
        {"ada": entry("a"), "bob": entry("b")}, [ListedUser("bob", active=False), ListedUser("cyd")]
    )
    assert set(merged) == {"cyd"}


def test_only_the_installing_admin_is_admin() -> None:
    merged = merge({}, [ListedUser("ada"), ListedUser("bob")], admin="bob")
    assert (merged["ada"].admin, merged["ada"].role) == (False, "user")
    assert (merged["bob"].admin, merged["bob"].role) == (True, "admin")


def test_a_removed_user_is_kept_out_whatever_a_list_says() -> None:
    removed = removal("ada")
    left = users.revoke({"ada": entry("a"), "bob": entry("b")}, [removed], new_epoch=epochs())
    assert set(left) == {"bob"}
    merged = merge(left, [ListedUser("ada"), ListedUser("bob")], held=users.held([removed]))
    assert set(merged) == {"bob"}


def test_a_settling_list_lets_a_removed_user_back_in_under_a_new_epoch() -> None:
    removed = removal("ada", name="r1")
    held = users.held([removed], settling=frozenset({"r1"}))
    assert merge({}, [ListedUser("ada")], held=held)["ada"].epoch == "fresh-0"


def test_a_sign_out_changes_the_epoch_once_and_keeps_the_user_in() -> None:
    current = {"ada": entry("a"), "bob": entry("b")}
    after = users.revoke(current, [sign_out("ada")], new_epoch=epochs())
    assert after["ada"].epoch == "fresh-0"
    assert after["bob"].epoch == "b"
    again = users.revoke(after, [sign_out("ada", applied=True)], new_epoch=epochs())
    assert again == after


def test_a_sign_out_of_a_stranger_grants_nothing() -> None:
    assert users.revoke({}, [sign_out("ada")], new_epoch=epochs()) == {}


def test_only_equal_settled_readings_make_a_list_trustworthy() -> None:
    def ask(before: tuple[str, str], after: tuple[str, str]) -> bool:
        return users.trustworthy(before, after, settled_states=SETTLED_STATES)

    assert ask(("completed", "t1"), ("completed", "t1"))
    assert not ask(("completed", "t1"), ("completed", "t2"))
    assert not ask(("updating", "t1"), ("updating", "t1"))


@pytest.mark.parametrize(
    ("state", "updated_at", "at", "settles"),
    [
        ("completed", "2026-01-05T09:00:00.000Z", "2026-01-05T10:00:00.000000Z", False),
        ("completed", "2026-01-05T11:00:00+02:00", "2026-01-05T10:00:00.000000Z", False),
        ("completed", "2026-01-05T10:00:09.000Z", "2026-01-05T10:00:00.000000Z", True),
        # Talkdesk's machines need not agree to the second, and one of its times may have whole ones.
        ("completed", "2026-01-05T10:00:00Z", "2026-01-05T10:00:00.700000Z", True),
        ("completed", "2026-01-05T09:59:55Z", "2026-01-05T10:00:00.000000Z", True),
        ("updating", "2026-01-05T10:00:09.000Z", "2026-01-05T10:00:00.000000Z", False),
        # Where one of the two is not known, it is as if there were no times.
        ("completed", None, "2026-01-05T10:00:00.000000Z", True),
        ("completed", "soon", "2026-01-05T10:00:00.000000Z", True),
        ("completed", "2026-01-05T09:00:00.000Z", None, True),
    ],
)
def test_what_talkdesk_showed_before_a_removal_cannot_settle_it(
    *, state: str, updated_at: str | None, at: str | None, settles: bool
) -> None:
    removed = [replace(removal("ada", name="r1"), at=at), removal("bob", name="r2")]
    found = users.settleable((state, updated_at), frozenset({"r1"}), removed, settled_states=SETTLED_STATES)
    assert found == (frozenset({"r1"}) if settles else frozenset())


def test_a_removal_keeps_the_time_of_its_event() -> None:
    at = "2026-01-05T10:00:00.000000Z"
    spec = {"kind": "Removed", "appId": "app", "accountId": "account", "installationId": "one"}
    one = TalkdeskRevocation.model_validate(
        {
            "apiVersion": "talkdesk-operator.io/v1alpha1",
            "kind": "TalkdeskRevocation",
            "metadata": {"name": "r1"},
            "spec": {**spec, "users": ["ada"], "cause": "event-1", "at": at},
        }
    )
    assert revoked(one) == replace(removal("ada", name="r1"), at=at)


ids = st.sampled_from(USER_IDS)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("remove"), st.frozensets(ids, min_size=1)),
        st.tuples(st.just("sign-out"), st.frozensets(ids, min_size=1)),
        st.tuples(st.just("list"), st.frozensets(ids)),
        st.tuples(st.just("settle"), st.frozensets(ids)),
    ),
    max_size=14,
)


@given(steps)
def test_in_any_order_of_lists_and_revocations_old_sessions_never_come_back(
    sequence: list[tuple[str, frozenset[str]]],
) -> None:
    """An epoch that a removal or a sign-out ended never returns; the removed stay out till settled."""
    new_epoch = epochs()
    current: dict[str, Entry] = {}
    revocations: list[Revoked] = []
    ended: set[tuple[str, str]] = set()
    for number, (step, who) in enumerate(sequence):
        if step in ("remove", "sign-out"):
            make = removal if step == "remove" else sign_out
            revocations.append(make(*who, name=f"r{number}"))
            ended |= {(user, current[user].epoch) for user in who if user in current}
            current = users.revoke(current, revocations, new_epoch=new_epoch)
            revocations = [
                Revoked(one.name, one.removes, one.users, applied=True, settled=one.settled)
                for one in revocations
            ]
        else:
            settling = frozenset(one.name for one in revocations) if step == "settle" else frozenset()
            held = users.held(revocations, settling=settling)
            current = merge(current, [ListedUser(user) for user in who], held=held, new_epoch=new_epoch)
            assert set(current) == who - held
            if settling:
                revocations = [one for one in revocations if not one.removes]
        assert not users.held(revocations) & set(current)
        assert not ended & {(user, one.epoch) for user, one in current.items()}


@settings(max_examples=25)
@given(st.integers(0, 3000), st.sampled_from([1, 2, 4, 8]))
def test_buckets_are_a_power_of_two_never_shrink_and_no_slice_overflows(number: int, current: int) -> None:
    everyone = {f"user-{index}": entry("e") for index in range(number)}
    buckets = users.buckets_for(everyone, current=current)
    assert buckets >= current
    assert buckets & (buckets - 1) == 0
    assert number <= users.AVERAGE_PER_SLICE * buckets
    parts = users.split(everyone, buckets)
    assert set(parts) == set(range(buckets))
    assert max(len(part) for part in parts.values()) <= users.MOST_PER_SLICE
    assert {user for part in parts.values() for user in part} == set(everyone)


def test_one_user_more_changes_one_slice() -> None:
    before = {f"user-{index}": entry("e") for index in range(1000)}
    after = {**before, "one-more": entry("e")}
    buckets = users.buckets_for(before, current=1)
    assert users.buckets_for(after, current=buckets) == buckets
    old, new = users.split(before, buckets), users.split(after, buckets)
    assert sum(old[bucket] != new[bucket] for bucket in range(buckets)) == 1
