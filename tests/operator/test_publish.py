"""The end of a pass: each installation's status is written, whatever is wrong with one of them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from talkdesk_crds.conditions import Reason
from talkdesk_crds.installation import TalkdeskInstallation
from talkdesk_crds.names import RESYNC_ANNOTATION
from talkdesk_operator import not_found
from talkdesk_operator.conditions import true
from talkdesk_operator.incumbent import Role
from talkdesk_operator.keys import UNPLACED, TenantKey
from talkdesk_operator.memory import InstallationMemory
from talkdesk_operator.notes import Notes
from talkdesk_operator.publish import Publisher, status_of
from talkdesk_operator.reconcile import Steps, TenantReconciler
from talkdesk_operator.standing import Case, judge

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
            endings=nothing,
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
