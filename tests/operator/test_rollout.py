"""The pure part of a roll-out: who is told the new revision when, and what is said about it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from talkdesk_crds.app import Rollout
from talkdesk_crds.conditions import Reason
from talkdesk_operator.rollout import Member, Past, Plan, orders, rollout

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
OLD, NEW, MENDED = "app-old", "app-new", "app-mended"


def member(name: str, told: str | None = OLD, *, up: bool = True, **more: bool) -> Member:
    return Member(name, f"of-{name}", told, applied=told, ready=up, why="" if up else "Broken", **more)


def step(
    members: list[Member],
    target: str = NEW,
    *,
    past: Past | None = None,
    most: int = 1,
    after: float = 0.0,
) -> Plan:
    policy = Rollout(max_unavailable=most, progress_seconds=60)
    now = NOW + timedelta(seconds=after)
    return rollout(members, target=target, policy=policy, past=past or Past(settled=OLD), now=now)


def past_of(plan: Plan) -> Past:
    return Past(plan.progress, plan.verdict.status == "True", plan.settled)


_revisions = st.sampled_from([OLD, NEW, MENDED, None])


@st.composite
def _members(draw: st.DrawFn) -> list[Member]:
    found = []
    for number in range(draw(st.integers(0, 12))):
        told = draw(_revisions)
        found.append(
            Member(
                f"t{number:02}",
                f"i{number:02}",
                told,
                applied=draw(st.sampled_from([told, OLD, None])),
                ready=draw(st.booleans()),
                serving=draw(st.integers(0, 4)) > 0,
                paused=draw(st.integers(0, 9)) == 0,
            )
        )
    return found


def unavailable(members: list[Member]) -> int:
    return sum(one.serving and not one.paused and not one.up for one in members)


def told(members: list[Member], names: tuple[str, ...], target: str) -> list[Member]:
    return [replace(one, told=target) if one.tenant in names else one for one in members]


@given(_members(), st.integers(1, 5))
def test_at_most_so_many_tenants_are_unready_for_the_roll_out(members: list[Member], most: int) -> None:
    given = orders(members, target=NEW, max_unavailable=most)
    after = told(members, given, NEW)
    assert unavailable(after) <= max(most, unavailable(members))
    exposed = [one for one in after if one.told == NEW and one.serving and not one.paused and not one.up]
    before = [one for one in members if one.told == NEW and one.serving and not one.paused and not one.up]
    assert len(exposed) <= max(most, len(before))


@given(_members(), st.integers(1, 5), st.randoms())
def test_the_same_tenants_give_the_same_orders_in_whatever_order_they_come(
    members: list[Member], most: int, random: object
) -> None:
    shuffled = list(members)
    random.shuffle(shuffled)  # type: ignore[attr-defined]  # hypothesis' strategy is typed as object
    assert orders(members, target=NEW, max_unavailable=most) == orders(
        shuffled, target=NEW, max_unavailable=most
    )


@given(_members(), st.integers(1, 5), st.data())
def test_a_roll_out_ends_when_tenants_become_ready_in_whatever_order(
    members: list[Member], most: int, data: st.DataObject
) -> None:
    past = Past(settled=OLD)
    for _ in range(len(members) * 2 + 2):
        plan = step(members, past=past, most=most)
        past = past_of(plan)
        members = told(members, plan.orders, NEW)
        if plan.verdict.status == "True" and not plan.orders:
            break
        waiting = [one.tenant for one in members if not one.up]
        if waiting:
            heals = data.draw(st.sampled_from(waiting))
            members = [
                replace(one, applied=one.told, ready=True) if one.tenant == heals else one for one in members
            ]
    assert plan.verdict.status == "True"
    assert plan.settled == NEW
    assert {one.told for one in members if not one.paused} <= {NEW}


@given(_members(), st.integers(1, 5))
def test_a_revision_that_breaks_every_tenant_reaches_no_more_than_may_be_unready(
    members: list[Member], most: int
) -> None:
    start = {one.tenant for one in members if one.told == NEW}
    for _ in range(len(members) + 2):
        members = [
            replace(one, applied=one.told, ready=False) if one.told == NEW else one
            for one in told(members, orders(members, target=NEW, max_unavailable=most), NEW)
        ]
    reached = {one.tenant for one in members if one.told == NEW and one.serving} - start
    assert len(reached) <= most


def test_a_tenant_that_is_unready_anyway_goes_first() -> None:
    members = [member("a"), member("b", up=False), member("c")]
    assert orders(members, target=NEW, max_unavailable=1) == ("b",)


def test_an_outage_of_all_tenants_does_not_expose_them_all() -> None:
    members = [member(f"t{number}", up=False) for number in range(9)]
    assert orders(members, target=NEW, max_unavailable=2) == ("t0", "t1")


def test_a_tenant_whose_revision_is_gone_goes_before_others_that_are_ready() -> None:
    members = [member("a"), member("b", told=None), member("c")]
    assert orders(members, target=NEW, max_unavailable=1) == ("b",)


def test_nothing_more_is_touched_while_tenants_are_broken() -> None:
    members = [member("a", NEW, up=False), member("b", NEW, up=False), *map(member, "cdefg")]
    plan = step(members, most=2)
    assert plan.orders == ()
    assert plan.verdict.reason is Reason.ROLLING_OUT
    assert "of-a (Broken), of-b (Broken)" in plan.verdict.message
    assert plan.progress.unavailable == 2
    assert plan.settled == OLD


def test_without_progress_it_counts_as_stalled_and_says_who_is_waited_for() -> None:
    members = [member("a", NEW, up=False), member("b")]
    first = step(members)
    assert first.verdict.reason is Reason.ROLLING_OUT
    assert first.look_in == 60
    later = step(members, past=past_of(first), after=60)
    assert later.verdict.reason is Reason.ROLLOUT_STALLED
    assert "of-a (Broken)" in later.verdict.message
    assert later.look_in is None
    assert later.progress == first.progress


def test_progress_starts_the_clock_anew() -> None:
    first = step([member("a", NEW, up=False), member("b")])
    healed = step([member("a", NEW), member("b")], past=past_of(first), after=59)
    assert healed.orders == ("b",)
    still = step([member("a", NEW), member("b", NEW, up=False)], past=past_of(healed), after=100)
    assert still.verdict.reason is Reason.ROLLING_OUT
    assert still.look_in == 19


def test_a_mended_revision_goes_to_the_broken_tenants_first() -> None:
    members = [*map(member, "abc"), member("x", NEW, up=False), member("y", NEW, up=False)]
    assert orders(members, target=MENDED, max_unavailable=2) == ("x", "y")


def test_going_back_moves_the_broken_tenants_alone_and_waits_for_them() -> None:
    members = [*map(member, "abc"), member("x", NEW, up=False)]
    gone_wrong = Past(step(members).progress, complete=False, settled=OLD)
    plan = step(members, OLD, past=gone_wrong)
    assert plan.orders == ("x",)
    assert plan.verdict.status == "False"
    healed = step([*map(member, "abcx")], OLD, past=past_of(plan))
    assert healed.verdict.status == "True"
    assert healed.orders == ()


def test_tenants_at_rest_are_moved_last_and_never_block() -> None:
    resting = member("a", up=False, serving=False)
    assert orders([resting, member("b")], target=NEW, max_unavailable=1) == ("b",)
    assert orders([resting, member("b", NEW, up=False)], target=NEW, max_unavailable=1) == ()
    done = step([resting, member("b", NEW)])
    assert done.orders == ("a",)
    assert done.verdict.status == "True"


def test_a_paused_tenant_is_left_alone_does_not_block_and_is_named() -> None:
    plan = step([member("a", up=False, paused=True), member("b", NEW)])
    assert plan.orders == ()
    assert plan.verdict.status == "True"
    assert "of-a" in plan.verdict.message
    assert (plan.progress.updated, plan.progress.tenants) == (1, 2)


def test_what_breaks_after_a_roll_out_does_not_undo_it() -> None:
    complete = past_of(step([member("a", NEW), member("b", NEW)]))
    assert complete.complete
    later = step([member("a", NEW, up=False), member("b", NEW)], past=complete, after=900)
    assert past_of(later) == complete


def test_a_new_tenant_on_the_settled_revision_changes_nothing_but_the_numbers() -> None:
    complete = past_of(step([member("a", NEW)]))
    fresh = Member("b", "of-b", NEW, applied=None, ready=False)
    later = step([member("a", NEW), fresh], past=complete)
    assert later.verdict.status == "True"
    assert (later.progress.updated, later.progress.tenants) == (2, 2)


def test_the_first_revision_has_rolled_out_where_there_are_no_tenants() -> None:
    plan = step([], past=Past())
    assert plan.settled == NEW
    assert plan.verdict.reason is Reason.ROLLED_OUT


def test_a_lost_status_is_rebuilt_from_what_most_ready_tenants_have() -> None:
    members = [*map(member, "abc"), member("x", NEW, up=False)]
    assert step(members, past=Past()).settled == OLD


def test_a_message_names_a_few_and_counts_the_rest() -> None:
    members = [member(f"t{number}", NEW, up=False) for number in range(8)]
    message = step(members).verdict.message
    assert message == (
        "0 of 8 tenants updated; waiting for of-t0 (Broken), of-t1 (Broken), of-t2 (Broken), "
        "of-t3 (Broken), of-t4 (Broken) and 3 more"
    )
