"""Removals, sign-outs, lists, answers and redeliveries in any order: who may enter in the end, and meanwhile.

Talkdesk is a model here that knows who is licensed; ours is the product's own policy. Nothing in either reads
a clock, so a skew between two machines can change nothing: the times are Talkdesk's own. Its API may lag
behind its events; what is deleted after a day may be deleted at any moment here.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import count

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from talkdesk_crds.meta import stamp_time
from talkdesk_operator import users
from talkdesk_operator.confirm import SETTLED_STATES
from talkdesk_operator.entries import Entry
from talkdesk_operator.user_rules import UserRules
from talkdesk_operator.users import ListedUser, Revoked, TalkdeskRoles

USERS = ("ada", "bob", "cyd", "dan")
ids = st.sampled_from(USERS)
some = st.frozensets(ids, max_size=2)
BEGINNING = datetime(2026, 1, 5, 10, tzinfo=UTC)


@dataclass(frozen=True)
class Update:
    """One ``app.updated``."""

    event: str
    adding: frozenset[str]
    removing: frozenset[str]
    at: str

    def of(self, licensed: frozenset[str]) -> frozenset[str]:
        return (licensed | self.adding) - self.removing


@dataclass(frozen=True)
class Shown:
    """What Talkdesk's API shows at one time."""

    moment: tuple[str, str]
    listed: frozenset[str]


@dataclass
class Talkdesk:
    """What Talkdesk knows. ``shows``: the users that its list shows during an update."""

    shows: str
    licensed: frozenset[str] = frozenset(USERS)
    pending: list[Update] = field(default_factory=list)
    version: int = 0
    #: What its API still shows, where that lags behind what Talkdesk knows.
    before: Shown | None = None

    @property
    def api(self) -> Shown:
        return self.before or self._now()

    @property
    def next_at(self) -> str:
        """When what happens next will have happened."""
        return self._at(self.version + 1)

    def lag(self) -> None:
        self.before = self.api

    def catch_up(self) -> None:
        self.before = None

    def update(self, asked: Update) -> None:
        self.pending.append(asked)
        self.version += 1

    def settle(self, *, approved: bool) -> None:
        """One answer for all that is pending; or none within seven days: the settings before it hold."""
        self.licensed = self._new() if approved else self.licensed
        self.pending = []
        self.version += 1

    def _now(self) -> Shown:
        state = "updating" if self.pending else "completed"
        listed = self._new() if self.shows == "new" else self.licensed
        return Shown((state, self._at(self.version)), listed)

    def _at(self, version: int) -> str:
        return stamp_time(BEGINNING + timedelta(minutes=version))

    def _new(self) -> frozenset[str]:
        found = self.licensed
        for one in self.pending:
            found = one.of(found)
        return found


@dataclass
class Listing:
    """A list that is being read: ``moment`` and ``seen`` before it, and the first of its two pages."""

    moment: tuple[str, str]
    seen: frozenset[str]
    order: tuple[str, ...]
    first: tuple[str, ...]


class Life(RuleBasedStateMachine):
    """One installation."""

    @initialize(shows=st.sampled_from(["new", "old"]))
    def begin(self, shows: str) -> None:
        self.talkdesk = Talkdesk(shows)
        self.numbers = count()
        self.happened: list[Update] = []
        self.delivered: set[str] = set()
        self.revocations: dict[str, Revoked] = {}
        self.epochs: set[str] = set()
        self.slices = {user: Entry(self.new_epoch()) for user in USERS}
        self.listing: Listing | None = None
        #: Sessions that a removal or a sign-out has ended, as (user, epoch).
        self.ended: set[tuple[str, str]] = set()

    def new_epoch(self) -> str:
        epoch = f"e{next(self.numbers)}"
        assert epoch not in self.epochs
        self.epochs.add(epoch)
        return epoch

    # What happens at Talkdesk.

    @precondition(lambda self: len(self.talkdesk.pending) < 2)
    @rule(adding=some, removing=some)
    def an_update_is_asked_for(self, adding: frozenset[str], removing: frozenset[str]) -> None:
        asked = Update(f"event-{next(self.numbers)}", adding - removing, removing, self.talkdesk.next_at)
        self.happened.append(asked)
        self.talkdesk.update(asked)

    @precondition(lambda self: self.talkdesk.pending)
    @rule(approved=st.booleans())
    def everything_pending_is_settled_by_one_answer_or_times_out(self, approved: bool) -> None:
        self.talkdesk.settle(approved=approved)

    @rule()
    def the_api_begins_to_lag(self) -> None:
        self.talkdesk.lag()

    @precondition(lambda self: self.talkdesk.before is not None)
    @rule()
    def the_api_catches_up(self) -> None:
        self.talkdesk.catch_up()

    # What reaches us: in any order, several times, a year later.

    @precondition(lambda self: self.happened)
    @rule(data=st.data())
    def an_event_is_delivered(self, data: st.DataObject) -> None:
        self._deliver(data.draw(st.sampled_from(self.happened)))

    def _deliver(self, event: Update) -> None:
        self.delivered.add(event.event)
        if event.removing and event.event not in self.revocations:
            self.revocations[event.event] = Revoked(
                event.event, removes=True, users=event.removing, applied=False, settled=False, at=event.at
            )

    @rule(user=ids)
    def a_user_signs_out(self, user: str) -> None:
        name = f"sign-out-{next(self.numbers)}"
        self.revocations[name] = Revoked(
            name, removes=False, users=frozenset({user}), applied=False, settled=False
        )

    # What the operator does.

    @rule()
    def revocations_are_applied(self) -> None:
        items = list(self.revocations.values())
        about = {
            user
            for item in items
            if not (item.settled if item.removes else item.applied)
            for user in item.users
        }
        self.ended |= {(user, self.slices[user].epoch) for user in about & set(self.slices)}
        before = self.slices
        self.slices = users.revoke(before, items, new_epoch=self.new_epoch)
        assert set(self.slices) <= set(before)
        self.revocations = {item.name: replace(item, applied=True) for item in items}

    @precondition(lambda self: self.listing is None)
    @rule(order=st.permutations(USERS), size=st.integers(0, 4))
    def a_list_is_begun(self, order: list[str], size: int) -> None:
        unsettled = {one.name for one in self.revocations.values() if one.removes and not one.settled}
        api = self.talkdesk.api
        shown = [user for user in order if user in api.listed]
        self.listing = Listing(
            moment=api.moment,
            seen=frozenset(unsettled),
            order=tuple(order),
            first=tuple(shown[:size]),
        )

    @precondition(lambda self: self.listing is not None)
    @rule()
    def the_list_is_read_to_its_end(self) -> None:
        listing, self.listing = self.listing, None
        assert listing is not None
        # The second page begins where the first one ended, counted in the list as it is by now.
        api = self.talkdesk.api
        shown = [user for user in listing.order if user in api.listed]
        everyone = dict.fromkeys([*listing.first, *shown[len(listing.first) :]])
        listed = [ListedUser(user) for user in everyone]
        items = list(self.revocations.values())
        seen = users.settleable(listing.moment, listing.seen, items, settled_states=SETTLED_STATES)
        settling: frozenset[str] | None = frozenset()
        if seen or users.missing(self.slices, listed, users.held(items)):
            settling = users.settled_by(listing.moment, api.moment, seen, settled_states=SETTLED_STATES)
        if settling is None:
            return
        self.slices = users.merge(
            self.slices,
            listed,
            held=users.held(items, settling=settling),
            admin=None,
            rules=UserRules(),
            roles=TalkdeskRoles(),
            new_epoch=self.new_epoch,
        )
        self.revocations = {
            item.name: replace(item, settled=item.settled or item.name in settling) for item in items
        }

    @precondition(lambda self: self.listing is None and len(self.talkdesk.pending) < 2)
    @rule(
        order=st.permutations(USERS), size=st.integers(1, 3), adding=some, removing=some, seen=st.booleans()
    )
    def users_change_while_they_are_listed(
        self, order: list[str], size: int, adding: frozenset[str], removing: frozenset[str], seen: bool
    ) -> None:
        self.a_list_is_begun(order, size)
        self.an_update_is_asked_for(adding, removing)
        if seen:
            self._deliver(self.happened[-1])
            self.revocations_are_applied()
        self.the_list_is_read_to_its_end()

    @rule()
    def what_is_over_is_deleted(self) -> None:
        self.revocations = {
            name: one
            for name, one in self.revocations.items()
            if not one.applied or (one.removes and not one.settled)
        }

    # What must hold.

    @invariant()
    def nobody_enters_whose_removal_was_applied_and_is_not_settled(self) -> None:
        applied = [one for one in self.revocations.values() if one.applied]
        assert not users.held(applied) & set(self.slices)

    @invariant()
    def nobody_enters_who_is_being_removed(self) -> None:
        """Whatever the list shows, from the event's arrival until it is settled at Talkdesk."""
        leaving = {
            user
            for one in self.talkdesk.pending
            if one.event in self.revocations and self.revocations[one.event].applied
            for user in one.removing
        }
        assert not leaving & set(self.slices)

    @invariant()
    def no_ended_session_comes_back(self) -> None:
        assert not self.ended & {(user, one.epoch) for user, one in self.slices.items()}

    @invariant()
    def a_list_that_was_torn_locked_nobody_out(self) -> None:
        """Whom no removal names is in, and signed in, all along."""
        named = {user for one in self.happened for user in one.removing}
        assert set(USERS) - named <= set(self.slices)

    def teardown(self) -> None:
        """Once Talkdesk is quiet, its events are there and lists can be read, exactly the licensed are in."""
        if not hasattr(self, "talkdesk"):
            return
        if self.talkdesk.pending:
            self.talkdesk.settle(approved=False)
        self.talkdesk.catch_up()
        for event in self.happened:
            if event.event not in self.delivered:
                self._deliver(event)
        self.listing = None
        self.revocations_are_applied()
        self.a_list_is_begun(list(USERS), 2)
        self.the_list_is_read_to_its_end()
        assert set(self.slices) == set(self.talkdesk.licensed)
        # And they stay in, whatever is still there of the revocations, and after all of it is deleted.
        self.revocations_are_applied()
        assert set(self.slices) == set(self.talkdesk.licensed)
        self.no_ended_session_comes_back()


TestLife = Life.TestCase
TestLife.settings = settings(stateful_step_count=30, max_examples=3 * settings.default.max_examples)


entries = st.dictionaries(ids, st.builds(Entry, st.sampled_from(["e1", "e2"]), role=st.just("lead")))
revocations = st.lists(
    st.builds(Revoked, st.text(max_size=3), st.booleans(), st.frozensets(ids), st.booleans(), st.booleans()),
    max_size=5,
)


@given(entries, revocations)
def test_nothing_in_a_revocation_gives_access(current: dict[str, Entry], items: list[Revoked]) -> None:
    numbers = count()
    left = users.revoke(current, items, new_epoch=lambda: f"fresh-{next(numbers)}")
    assert set(left) <= set(current)
    for user, entry in left.items():
        assert replace(entry, epoch="") == replace(current[user], epoch="")
        assert entry.epoch == current[user].epoch or entry.epoch.startswith("fresh-")
