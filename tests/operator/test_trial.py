"""How a trial stands, from events in any order, some of them lost, and from what the API showed."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from talkdesk_crds.app import TalkdeskApp
from talkdesk_crds.conditions import Reason
from talkdesk_crds.installation import FromTalkdesk, TalkdeskInstallation, Trial
from talkdesk_crds.meta import stamp_time
from talkdesk_operator import not_found
from talkdesk_operator import trial as trials
from talkdesk_operator.incumbent import Role
from talkdesk_operator.memory import InstallationMemory
from talkdesk_operator.notes import Notes
from talkdesk_operator.reading import Reading
from talkdesk_operator.standing import Case, Judgement, judge
from talkdesk_operator.standing.trial import rule
from talkdesk_operator.tenant.facts import Facts, TrialFacts

START = datetime(2026, 1, 5, 10, 0, 0, tzinfo=UTC)
DAY = timedelta(days=1)
GRACE = timedelta(hours=2)


def stamp(moment: datetime | None) -> str | None:
    return None if moment is None else stamp_time(moment)


@dataclass
class Talkdesk:
    """The truth: what Talkdesk does to one trial, the events it sends and what its API shows after each."""

    now: datetime = START
    shown: TrialFacts = field(default_factory=TrialFacts)
    sent: list[Trial] = field(default_factory=list)
    #: What the API showed after each step.
    views: list[TrialFacts] = field(default_factory=list)

    @property
    def running(self) -> bool:
        return self.shown.expires_at is not None and self.shown.ended_at is None

    def step(self, kind: str, days: int) -> None:
        """One thing that happens, if it can; then a little time passes."""
        self.now += timedelta(minutes=7)
        ends = self.now + days * DAY
        if kind == "start" and not self.running:
            self.shown = TrialFacts(state="active", started_at=stamp(self.now), expires_at=stamp(ends))
            self._send("started", 30)
        elif kind == "extend" and self.running:
            later = max(ends, datetime.fromisoformat(self.shown.expires_at or "") + DAY)
            self.shown = self.shown.model_copy(update={"expires_at": stamp(later)})
            self._send("extended", 40)
        elif kind in ("trial_expired", "plan_upgraded", "app_uninstalled") and self.running:
            ended = {"state": "ended", "ended_at": stamp(self.now), "ended_reason": kind}
            self.shown = self.shown.model_copy(update=ended)
            self._send("ended", 60)
        else:
            return
        self.views.append(self.shown)

    def _send(self, state: Any, rank: int) -> None:
        shown = self.shown
        self.sent.append(
            Trial(
                at=stamp(self.now),
                rank=rank,
                event=f"e{len(self.sent)}",
                state=state,
                expires_at=shown.expires_at,
                ended_at=shown.ended_at,
                ended_reason=shown.ended_reason,
            )
        )

    def served(self, now: datetime) -> bool:
        """Whether the customer should be let in at ``now``, by this trial."""
        if self.shown.ended_at is not None:
            return self.shown.ended_reason != "trial_expired"
        return self.shown.expires_at is None or now < datetime.fromisoformat(self.shown.expires_at)


KINDS = ("start", "extend", "trial_expired", "plan_upgraded", "app_uninstalled")
histories = st.lists(st.tuples(st.sampled_from(KINDS), st.integers(1, 40)), max_size=8)


def lived(history: list[tuple[str, int]]) -> Talkdesk:
    talkdesk = Talkdesk()
    talkdesk.step("start", 30)
    for kind, days in history:
        talkdesk.step(kind, days)
    return talkdesk


def register(arrived: list[Trial]) -> Trial | None:
    """What the webhook's fold keeps of the events that arrived, in whatever order."""
    kept: Trial | None = None
    for one in arrived:
        if kept is None or one.order() > kept.order():
            kept = one
    return kept


def installation(
    trial: Trial | None = None, *, access: str | None = None, **talkdesk: Any
) -> TalkdeskInstallation:
    said = {"installed": {"at": stamp(START), "rank": 10, "event": "i"}, **talkdesk}
    if trial is not None:
        said["trial"] = trial.to_json()
    obj: dict[str, Any] = {
        "metadata": {"name": "i", "namespace": "ns", "uid": "u", "generation": 1},
        "spec": {"appId": "a", "accountId": "c", "installationId": "i", "talkdesk": said},
    }
    if access is not None:
        obj["status"] = {"access": {"state": "Refused", "reason": access}}
    return TalkdeskInstallation.model_validate(obj)


APP = TalkdeskApp.model_validate(
    {
        "metadata": {"name": "app"},
        "spec": {
            "appId": "a",
            "regions": {"eu": {"api": "api.example", "identity": "id.example"}},
            "baseDomain": "demo.example",
            "service": {"name": "demo", "port": 8080},
            "template": [],
            "trial": {"graceSeconds": int(GRACE.total_seconds())},
        },
    }
)


def reading(trial: TrialFacts | None, *, at: datetime, kind: str | None = "trial") -> Reading:
    return Reading(
        begun=0.0,
        generation=1,
        resync_token=None,
        seen=frozenset(),
        state="completed",
        updated_at=None,
        admin=None,
        trial=trial,
        subscription_type=kind,
        details_read_at=at,
    )


def judged(
    one: TalkdeskInstallation,
    read: Reading | None,
    *,
    now: datetime,
    app: TalkdeskApp | None = APP,
    state: str | None = "completed",
    known: TrialFacts | None = None,
) -> Judgement:
    return rule(
        Case(
            installation=one,
            role=Role.INCUMBENT,
            app=app,
            reading=read,
            state=state,
            now=now,
            trial=read.trial if read is not None else known,
            subscription_type=read.subscription_type if read is not None else None,
        )
    )


@given(histories, st.data())
@settings(max_examples=200)
def test_events_in_any_order_and_number_with_a_reading_give_what_talkdesk_means(
    history: list[tuple[str, int]], data: st.DataObject
) -> None:
    talkdesk = lived(history)
    repeated = talkdesk.sent + data.draw(st.lists(st.sampled_from(talkdesk.sent), max_size=3))
    arrived = data.draw(st.permutations(repeated))
    now = talkdesk.now + data.draw(st.integers(0, 90)) * DAY
    kind = "paid" if talkdesk.shown.ended_reason == "plan_upgraded" else "trial"
    found = judged(installation(register(arrived)), reading(talkdesk.shown, at=now, kind=kind), now=now)
    assert (found.suspension is None) == talkdesk.served(now)


@given(histories, st.data())
@settings(max_examples=200)
def test_whatever_events_are_lost_a_reading_makes_up_for_them(
    history: list[tuple[str, int]], data: st.DataObject
) -> None:
    talkdesk = lived(history)
    arrived = [one for one in talkdesk.sent if data.draw(st.booleans())]
    now = talkdesk.now + data.draw(st.integers(0, 90)) * DAY
    found = judged(installation(register(arrived)), reading(talkdesk.shown, at=now), now=now)
    assert (found.suspension is None) == talkdesk.served(now)


@given(histories, st.data())
@settings(max_examples=200)
def test_an_api_that_lags_behind_the_events_takes_back_nothing_they_said(
    history: list[tuple[str, int]], data: st.DataObject
) -> None:
    talkdesk = lived(history)
    behind = data.draw(st.sampled_from([TrialFacts(), *talkdesk.views]))
    now = talkdesk.now + data.draw(st.integers(0, 90)) * DAY
    found = judged(installation(register(talkdesk.sent)), reading(behind, at=now), now=now)
    if talkdesk.served(now):
        assert found.suspension is None
    elif sum(one.state == "started" for one in talkdesk.sent) == 1:
        # Of two trials a shorter second one may be overlooked until the API shows it: nobody is locked out.
        assert found.suspension is not None


@given(histories, st.data())
def test_a_reinstall_of_the_same_id_starts_anew(history: list[tuple[str, int]], data: st.DataObject) -> None:
    talkdesk = lived(history)
    arrived = [one for one in talkdesk.sent if data.draw(st.booleans())]
    again = {"at": stamp(talkdesk.now + DAY), "rank": 10, "event": "i2"}
    one = installation(register(arrived), installed=again)
    now = talkdesk.now + 400 * DAY
    assert judged(one, None, now=now, known=talkdesk.shown) == Judgement()
    assert judged(one, reading(talkdesk.shown, at=now), now=now) == Judgement()


@given(histories)
def test_who_has_paid_is_served_whatever_became_of_the_trial(history: list[tuple[str, int]]) -> None:
    talkdesk = lived(history)
    now = talkdesk.now + 400 * DAY
    one = installation(register(talkdesk.sent), access="TrialEnded")
    assert judged(one, reading(talkdesk.shown, at=now, kind="paid"), now=now) == Judgement()


EXPIRING = Trial(at=stamp(START), rank=30, event="e", state="started", expires_at=stamp(START + 30 * DAY))
END = START + 30 * DAY


def test_the_end_of_a_running_trial_is_looked_at_when_it_comes() -> None:
    found = judged(installation(EXPIRING), None, now=START)
    assert found == Judgement(look_at=END)


def test_at_the_end_by_the_clock_talkdesk_is_asked_before_anybody_is_locked_out() -> None:
    before = reading(TrialFacts(state="active", expires_at=stamp(END)), at=END - timedelta(seconds=1))
    for read in (None, before):
        found = judged(installation(EXPIRING), read, now=END)
        assert found.suspension is None
        assert found.ask
        assert found.look_at == END + GRACE


def test_an_end_whose_event_is_lost_is_enforced_once_talkdesk_was_asked_after_it() -> None:
    after = reading(TrialFacts(state="active", expires_at=stamp(END)), at=END)
    found = judged(installation(EXPIRING), after, now=END)
    assert found.suspension is not None
    assert found.suspension.reason is Reason.TRIAL_ENDED
    assert not found.ask


def test_a_lost_extension_locks_nobody_out() -> None:
    extended = TrialFacts(state="active", expires_at=stamp(END + 30 * DAY))
    found = judged(installation(EXPIRING), reading(extended, at=END), now=END)
    assert found == Judgement(look_at=END + 30 * DAY)


@pytest.mark.parametrize("silent", [True, False], ids=["unreachable", "neither trial nor plan can be read"])
def test_while_talkdesk_cannot_be_asked_access_stays_for_the_grace_and_no_longer(silent: bool) -> None:
    read = None if silent else reading(None, at=END + GRACE, kind=None)
    last = judged(installation(EXPIRING), read, now=END + GRACE - timedelta(seconds=1))
    assert last.suspension is None
    assert last.ask
    over = judged(installation(EXPIRING), read, now=END + GRACE)
    assert over.suspension is not None
    assert over.ask, "an extension may still come to light"


def test_a_trial_that_the_api_no_longer_shows_is_over_at_its_end_unless_it_was_paid_for() -> None:
    for gone in (None, TrialFacts()):
        assert judged(installation(EXPIRING), reading(gone, at=END), now=END).suspension is not None
        assert judged(installation(EXPIRING), reading(gone, at=END, kind="paid"), now=END) == Judgement()


def test_who_was_refused_stays_refused_when_the_operator_has_forgotten_what_it_read() -> None:
    refused = installation(EXPIRING, access="TrialEnded")
    found = judged(refused, None, now=END)
    assert found.suspension is not None
    assert found.ask, "where the grace was over, Talkdesk has not been asked since the end"
    asked = reading(TrialFacts(state="active", expires_at=stamp(END)), at=END)
    assert not judged(refused, asked, now=END).ask
    assert judged(installation(EXPIRING, access="Suspended"), None, now=END).suspension is None


def test_a_later_extension_lets_in_again_whoever_was_refused_whether_read_or_told() -> None:
    later, now = END + 30 * DAY, END + DAY
    refused = installation(EXPIRING, access="TrialEnded")
    extended = TrialFacts(state="active", expires_at=stamp(later))
    assert judged(refused, reading(extended, at=now), now=now) == Judgement(look_at=later)
    event = Trial(at=stamp(now), rank=50, event="x", state="extended", expires_at=stamp(later))
    told = installation(event, access="TrialEnded")
    behind = TrialFacts(
        state="ended", expires_at=stamp(END), ended_at=stamp(END), ended_reason="trial_expired"
    )
    for read in (None, reading(behind, at=now)):
        assert judged(told, read, now=now) == Judgement(look_at=later)


def test_no_app_no_refusal_by_the_clock() -> None:
    assert judged(installation(EXPIRING), None, now=END + 400 * DAY, app=None).suspension is None


def test_the_tenant_of_an_ended_trial_runs_while_an_upgrade_waits_for_its_answer() -> None:
    ended = Trial(
        at=stamp(END), rank=60, event="x", state="ended", ended_at=stamp(END), ended_reason="trial_expired"
    )
    shown = TrialFacts(
        state="ended", ended_at=stamp(END), ended_reason="trial_expired", subscription_name="T"
    )
    for name, state, served in [
        ("Paid", "updating", True),
        ("T", "updating", False),
        ("Paid", "suspended", False),
    ]:
        wanted = {"at": stamp(END + DAY), "rank": 20, "event": "u", "name": name}
        one = installation(ended, subscription=wanted)
        found = judged(one, reading(shown, at=END + DAY), now=END + DAY, state=state)
        assert (found.suspension is None) == served, (name, state)


def test_an_upgrade_is_known_by_the_subscription_where_the_trial_is_not_shown() -> None:
    ended = Trial.model_validate(
        {
            "at": stamp(END),
            "rank": 60,
            "event": "e",
            "state": "ended",
            "endedAt": stamp(END),
            "endedReason": "trial_expired",
        }
    )
    for name, served in [("Paid", True), ("T", False)]:
        wanted = {"at": stamp(END + DAY), "rank": 20, "event": "u", "name": name}
        shown = replace(reading(None, at=END + DAY), plan="T")
        found = judged(installation(ended, subscription=wanted), shown, now=END + DAY, state="updating")
        assert (found.suspension is None) == served, name


def test_an_uninstalled_customer_is_not_told_about_a_trial() -> None:
    case = Case(
        installation=installation(EXPIRING),
        role=Role.UNINSTALLED,
        app=APP,
        reading=None,
        state=None,
        now=END + 400 * DAY,
    )
    suspension = judge(case).suspension
    assert suspension is not None
    assert suspension.reason is Reason.UNINSTALLED


def test_an_end_without_a_reason_counts_where_the_time_had_come() -> None:
    shown = TrialFacts(state="ended", expires_at=stamp(END), ended_at=stamp(END))
    assert trials.current(FromTalkdesk(), shown) is not None
    assert judged(installation(), reading(shown, at=END), now=END).suspension is not None
    early = shown.model_copy(update={"ended_at": stamp(END - DAY)})
    assert judged(installation(), reading(early, at=END), now=END).suspension is None


def test_an_end_in_the_very_second_of_the_start_ends_that_trial_and_not_one_that_started_again() -> None:
    said = Trial.model_validate(
        {
            "at": stamp(START),
            "rank": 60,
            "event": "e",
            "state": "ended",
            "expiresAt": stamp(END),
            "endedAt": stamp(START),
            "endedReason": "trial_expired",
        }
    )
    shown = TrialFacts(state="active", started_at=stamp(START), expires_at=stamp(END))
    assert judged(installation(said), reading(shown, at=START), now=START).suspension is not None
    again = shown.model_copy(update={"expires_at": stamp(END + DAY)})
    assert judged(installation(said), reading(again, at=START), now=START).suspension is None


@pytest.mark.parametrize("restarted", [False, True])
def test_who_pays_and_gets_a_404_is_suspended_for_that_and_not_for_a_trial_of_long_ago(
    *, restarted: bool
) -> None:
    """The brake holds back the one, for it is read, and not the other, which an event has told."""
    told = Trial(at=stamp(START), rank=30, event="t", state="started", expires_at=stamp(END))
    one = installation(told)
    before = None if restarted else reading(None, at=END, kind="paid")
    found = not_found.reading(one, before, 0.0)
    stored = Facts(app_id="a", region="eu", account_id="c", installation_id="i", subscription_type="paid")
    notes = Notes(installation=one, memory=InstallationMemory(reading=found), given=(), stored=stored)
    case = Case(
        one, Role.INCUMBENT, APP, notes.reading, notes.state, END + 90 * DAY,
        trial=notes.trial, subscription_type=notes.subscription_type,
    )  # fmt: skip
    suspension = judge(case).suspension
    assert suspension is not None
    assert (suspension.reason, suspension.read) == (Reason.UNKNOWN_TO_TALKDESK, True)


def test_the_trial_that_was_read_before_a_restart_outlives_a_404() -> None:
    one = installation()
    ran = TrialFacts(state="active", started_at=stamp(START), expires_at=stamp(END))
    stored = Facts(app_id="a", region="eu", account_id="c", installation_id="i", trial=ran)
    memory = InstallationMemory(reading=not_found.reading(one, None, 0.0))
    assert Notes(installation=one, memory=memory, given=(), stored=stored).trial == ran
