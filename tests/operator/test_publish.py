"""The end of a pass: each installation's status is written, whatever is wrong with one of them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from declared import app
from talkdesk_crds.conditions import Reason
from talkdesk_crds.installation import TalkdeskInstallation
from talkdesk_crds.names import RESYNC_ANNOTATION
from talkdesk_operator import not_found
from talkdesk_operator.brake import BrakePolicy
from talkdesk_operator.conditions import find, true
from talkdesk_operator.confirm import Given
from talkdesk_operator.endings import Endings
from talkdesk_operator.incumbent import Role
from talkdesk_operator.keys import UNPLACED, TenantKey
from talkdesk_operator.memory import Cadence, InstallationMemory, due
from talkdesk_operator.notes import Notes
from talkdesk_operator.observe import Observer
from talkdesk_operator.publish import Home, Publisher, status_of
from talkdesk_operator.reconcile import Steps, TenantReconciler
from talkdesk_operator.standing import Case, judge
from talkdesk_operator.tenant import Facts, Making, Release, making

if TYPE_CHECKING:
    from talkdesk_operator.reading import Reading

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)


def installation(name: str, *, token: str | None = None, left: bool = False) -> TalkdeskInstallation:
    talkdesk = {"installed": {"at": "2026-01-05T10:00:00.000000Z", "rank": 1, "event": f"i{name}"}}
    if left:
        talkdesk["uninstalled"] = {"at": "2026-01-05T11:00:00.000000Z", "rank": 9, "event": f"u{name}"}
    annotations = {} if token is None else {RESYNC_ANNOTATION: token}
    return TalkdeskInstallation.model_validate(
        {
            "metadata": {"name": name, "uid": name, "generation": 1, "annotations": annotations},
            "spec": {"appId": "app", "accountId": "account", "installationId": name, "talkdesk": talkdesk},
            "status": {"access": {"state": "Allowed", "reason": "InstallationReady"}},
        }
    )


def read(one: TalkdeskInstallation) -> Reading:
    return replace(not_found.reading(one, None, 0.0), state="completed")


def noted(one: TalkdeskInstallation, reading: Reading | None = None) -> Notes:
    return Notes(installation=one, memory=InstallationMemory(reading=reading or read(one)), given=())


@pytest.mark.parametrize(("token", "shown"), [("t" * 128, "t" * 128), ("t" * 129, None), ("t" * 200, None)])
def test_a_resync_token_that_no_status_can_hold_asks_for_nothing_and_keeps_no_status_back(
    token: str, shown: str | None
) -> None:
    notes = noted(installation("i", token=token, left=True))
    notes.role = Role.UNINSTALLED
    notes.suspension = judge(Case(notes.installation, notes.role, None, notes.reading, None, NOW)).suspension
    status = status_of(notes, None, NOW)
    assert status.observed_resync == shown
    # Without this no uninstallation is approved.
    assert status.access is not None
    assert (status.access.state, status.access.reason) == ("Refused", Reason.UNINSTALLED)


@dataclass
class Around:
    """What a pass works with, as far as it goes where no app is known."""

    everyone: dict[str, Notes]
    written: dict[str, dict[str, Any]] = field(default_factory=dict)

    def steps(self) -> Steps:
        recorder: Any = SimpleNamespace(event=lambda *_: None)
        here: Any = self
        nothing: Any = None
        return Steps(
            release=nothing,
            directory=here,
            observer=here,
            keeper=nothing,
            provisioner=nothing,
            revisions=nothing,
            users=nothing,
            slices=nothing,
            answerer=nothing,
            rotator=nothing,
            publisher=Publisher(here, here, recorder, lambda: NOW),
            endings=Endings(nothing, BrakePolicy(timedelta(0), timedelta(0)), lambda: NOW),
            mails=here,
            wake=lambda _: None,
            clock=lambda: NOW,
        )

    def app(self, _: str) -> None:
        return None

    def installations(self, _: TenantKey) -> list[TalkdeskInstallation]:
        return [notes.installation for notes in self.everyone.values()]

    def notes(self, one: TalkdeskInstallation) -> Notes:
        return self.everyone[one.metadata.name]

    async def revoke(self, *_: Any) -> None:
        """Nobody is revoked."""

    def verdict(self, *_: Any) -> Any:
        return true(Reason.NOTHING_TO_TELL)

    def newest(self, one: TalkdeskInstallation) -> TalkdeskInstallation:
        return one

    def stored(self, _: Any) -> None:
        """Nothing is looked up afterwards."""

    async def merge_patch(self, _: Any, name: str, patch: dict[str, Any], **__: Any) -> dict[str, Any]:
        self.written[name] = patch["status"]
        return {"metadata": {"name": name}}


async def test_an_installation_whose_status_cannot_be_made_keeps_nobody_elses_from_being_written() -> None:
    broken = installation("a")
    impossible = replace(read(broken), resync_token="t" * 200)
    around = Around({"a": noted(broken, impossible), "b": noted(installation("b"))})
    with capture_logs() as logs:
        outcome = await TenantReconciler(around.steps()).reconcile(TenantKey("app", UNPLACED, "account"))
    assert set(around.written) == {"b"}
    assert outcome.failed, "so it is tried again"
    (told,) = [one for one in logs if one["log_level"] == "error"]
    assert told["installation"] == "a"


def left_once(name: str, state: str, *, approved: bool = True, installed: str = "10:00") -> Notes:
    """One of which Talkdesk once said ``uninstalled``, which was approved, and says ``state`` by now."""
    one = installation(name).to_json()
    one["spec"]["talkdesk"]["installed"]["at"] = f"2026-01-05T{installed}:00.000000Z"
    one["status"]["access"] = {"state": "Refused", "reason": "Uninstalled"}
    found = TalkdeskInstallation.model_validate(one)
    answer = Given(
        "uninstalled",
        "2026-01-05T11:00:00Z",
        "approve",
        "2026-01-05T11:05:00Z",
        result_state="revoked" if approved else None,
    )
    notes = noted(found, replace(read(found), state=state))
    notes.given = (answer,)
    return notes


@pytest.mark.parametrize(
    ("state", "role"),
    [
        ("uninstalled", Role.UNINSTALLED),
        ("revoked", Role.UNINSTALLED),
        ("pending", Role.UNINSTALLED),
        ("a-new-word", Role.UNINSTALLED),
        ("completed", Role.INCUMBENT),
        ("installing", Role.INCUMBENT),
        ("updating", Role.INCUMBENT),
    ],
)
@pytest.mark.parametrize("approved", [True, False], ids=["taken", "contradicted"])
async def test_who_left_by_an_approval_stays_gone_until_talkdesk_shows_a_customer(
    *, state: str, role: Role, approved: bool
) -> None:
    notes = left_once("a", state, approved=approved)
    around = Around({"a": notes})
    await TenantReconciler(around.steps()).reconcile(TenantKey("app", UNPLACED, "account"))
    assert notes.role is role
    assert notes.leaving is (role is Role.UNINSTALLED)


async def test_who_left_by_an_approval_is_a_customer_again_once_an_event_says_so() -> None:
    notes = left_once("a", "revoked", installed="11:30")
    around = Around({"a": notes})
    await TenantReconciler(around.steps()).reconcile(TenantKey("app", UNPLACED, "account"))
    assert notes.role is Role.INCUMBENT


@pytest.mark.parametrize("state", ["uninstalled", "revoked", "pending"])
async def test_nobody_takes_a_tenant_back_who_left_before_the_newer_one_that_leaves(state: str) -> None:
    old, new = left_once("old", state, installed="09:00"), noted(installation("new", left=True))
    around = Around({"old": old, "new": new})
    await TenantReconciler(around.steps()).reconcile(TenantKey("app", UNPLACED, "account"))
    assert (old.role, new.role) == (Role.SUPERSEDED, Role.UNINSTALLED)


APP = app(
    launchHost="launch.example.com",
    plans={"Large": {"values": {"size": "9"}}},
    variants=[
        {
            "appVersion": "v1",
            "service": {"name": "old", "port": 80},
            "signIn": {"scopes": ["openid", "account:read"]},
        }
    ],
)
RELEASE = Release("talkdesk-system", "td", "td-operator", "talkdesk-system-td-tenant")
TENANT = RELEASE.tenant(TenantKey("app", "eu", "account"))


def made(version: str, plan: str | None) -> Making:
    facts = Facts(
        app_id="app", region="eu", account_id="account", installation_id="i", plan=plan, app_version=version
    )
    return making(TENANT, APP, APP.spec, facts)


@dataclass
class Shown:
    """What the status of a customer's installation says, pass after pass."""

    one: TalkdeskInstallation

    def after(self, home: Home) -> tuple[str | None, str | None, str | None, list[str]]:
        """App version, plan, Service and scopes."""
        notes = noted(self.one)
        notes.role = Role.INCUMBENT
        status = status_of(notes, home, NOW)
        self.one = self.one.model_copy(update={"status": status})
        assert status.service is not None
        assert status.sign_in is not None
        return status.app_version, status.plan, status.service.name, status.sign_in.scopes


def test_what_a_tenant_was_not_made_into_is_not_shown_before_it_was() -> None:
    status = Shown(installation("i"))
    before, after = ("v1", "default", "old", ["openid", "account:read"]), ("v2", "Large", "web", ["openid"])
    first = Home(TENANT, "host", made=made("v1", None))
    assert status.after(first) == before, "the first provisioning"
    changed = Home(TENANT, "host", made=made("v2", "Large"))
    assert status.after(changed) == after, "it was never complete, and serves nobody"
    assert status.after(replace(first, whole=True, revision="demo-1")) == before
    assert status.after(changed) == before, "paused, refused, or half-way through"
    assert status.after(Home(TENANT, "host")) == before, "the pass ended before it knew"
    assert status.after(replace(changed, whole=True)) == after, "paused, and nothing would be written"
    assert status.one.status.revision == "demo-1"


OFF = Cadence(resync=0, pending=30)


def superseded(state: str, *, confirmed: str = "Approved", ready: str = "InstallationReady") -> Notes:
    """One whose tenant a newer one holds by now; its own status says so with ``ready``."""
    one = installation("old").to_json()
    since = {"observedGeneration": 1, "lastTransitionTime": "2026-01-05T10:00:00Z"}
    one["status"] |= {
        "observedGeneration": 1,
        "talkdesk": {"state": state},
        "conditions": [
            {"type": "Confirmed", "status": "True", "reason": confirmed, **since},
            {"type": "Ready", "status": "True" if ready == "InstallationReady" else "False", "reason": ready}
            | since,
        ],
    }
    return taken_over(TalkdeskInstallation.model_validate(one))


def taken_over(one: TalkdeskInstallation) -> Notes:
    notes = Notes(installation=one, memory=InstallationMemory(), given=(), role=Role.SUPERSEDED)
    notes.suspension = judge(Case(one, notes.role, None, None, notes.state, NOW)).suspension
    return notes


def passed(notes: Notes) -> TalkdeskInstallation:
    """The installation after the pass."""
    return notes.installation.model_copy(update={"status": status_of(notes, None, NOW)})


def due_after_a_restart(one: TalkdeskInstallation) -> bool:
    return due(one, InstallationMemory(), now=0.0, cadence=OFF, incomplete=False, unsettled=False) <= 0


def test_that_talkdesk_could_not_be_asked_about_who_is_overtaken_outlives_a_restart() -> None:
    one = passed(superseded("completed"))
    assert due_after_a_restart(one)
    assert due_after_a_restart(passed(taken_over(one))), "the later passes could not ask either"
    confirmed = find(one.status.conditions, "Confirmed")
    assert confirmed is not None
    assert (confirmed.status, confirmed.reason) == ("Unknown", Reason.NOT_CHECKED)


def overtaken(one: TalkdeskInstallation, memory: InstallationMemory) -> bool:
    nothing: Any = None
    observer = Observer(
        kube=nothing,
        caches=nothing,
        client=nothing,
        keyring=nothing,
        spreading=timedelta(0),
        revoked=timedelta(0),
        slices=nothing,
        revocations=nothing,
        memory=nothing,
        cadence=OFF,
        pace=nothing,
        hanging=nothing,
        clock=lambda: NOW,
        monotonic=lambda: 1.0,
    )
    return observer._overtaken(Notes(one, memory, given=()), Role.SUPERSEDED)


def test_who_is_overtaken_in_a_pass_that_ended_before_it_asked_is_asked_about_in_the_next_one() -> None:
    notes = superseded("completed")
    notes.memory.reading = read(notes.installation)
    assert overtaken(passed(notes), notes.memory)
    notes.memory.reading = replace(notes.memory.reading, begun=2.0)
    assert not overtaken(passed(notes), notes.memory), "it has been"
    asked = superseded("completed", ready="Superseded")
    assert not overtaken(passed(asked), asked.memory)


def test_who_was_asked_about_or_owes_nothing_is_not_asked_about_for_being_overtaken() -> None:
    asked = superseded("completed")
    asked.fresh = read(asked.installation)
    known = superseded("completed", ready="Superseded")
    answered = superseded("uninstalled", confirmed="UninstallApproved")
    for notes in (asked, known, answered, superseded("revoked"), superseded("timeout")):
        assert not due_after_a_restart(passed(notes))
