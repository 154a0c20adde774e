"""Why access changed, as the audit log tells it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from talkdesk_crds.installation import TalkdeskInstallation
from talkdesk_operator import audit

NOW = datetime(2026, 1, 10, 10, tzinfo=UTC)
ENDS = "2026-01-10T10:00:00Z"
INSTALLED = {"at": "2026-01-05T10:00:00.000000Z", "rank": 10, "event": "e-installed"}
EXTENDED = {
    "at": "2026-01-06T10:00:00.000000Z", "rank": 40, "event": "e-trial",
    "state": "extended", "expiresAt": "2026-01-10T10:00:00.000000Z",
}  # fmt: skip
ENDED = {
    **EXTENDED,
    "state": "ended",
    "endedAt": "2026-01-10T10:00:00.000000Z",
    "endedReason": "trial_expired",
}
UPDATED = {"at": "2026-01-07T10:00:00.000000Z", "rank": 30, "event": "e-updated"}
ALLOWED = {"state": "Allowed", "reason": "InstallationReady"}
APPROVED = {"state": "installing", "answer": "approve", "at": "2026-01-10T10:00:00Z"}
SAME = {"state": "completed", "updatedAt": "t1"}
STORED = {
    "metadata": {
        "managedFields": [
            {"manager": "talkdesk-webhook", "fieldsV1": {"f:spec": {"f:talkdesk": {}}}},
            {"manager": "alice", "time": "2026-01-10T09:59:59Z", "fieldsV1": {"f:spec": {"f:suspend": {}}}},
        ]
    }
}


def refused(reason: str) -> dict[str, str]:
    return {"state": "Refused", "reason": reason}


def installation(
    access: dict[str, str] | None, *, suspend: bool = False, seen: bool = True, **more: Any
) -> TalkdeskInstallation:
    """With this access; ``seen``: all that events said was known when it was written. ``more``: registers."""
    status = {"talkdesk": SAME, "observedGeneration": 3 if seen else 2}
    deadlines = more.pop("deadlines", {})
    return TalkdeskInstallation.model_validate(
        {
            "metadata": {"name": "i", "namespace": "n", "uid": "u", "generation": 3},
            "spec": {
                "appId": "a",
                "accountId": "c",
                "installationId": "i",
                "suspend": suspend,
                "talkdesk": {"installed": INSTALLED, **more},
            },
            "status": {**status, "deadlines": deadlines, **({"access": access} if access else {})},
        }
    )


def caused(before: TalkdeskInstallation, access: dict[str, str], **status: Any) -> dict[str, Any]:
    """The cause that the line names, where access becomes ``access``."""
    stored = {**before.status.to_json(), "access": access, "observedGeneration": 3, **status}
    new = TalkdeskInstallation.model_validate({**before.to_json(), "status": stored}).status
    line = audit.access_changed(before, new, stored=STORED, now=NOW)
    assert line is not None
    assert (line["to"], line["reason"]) == (access["state"], access["reason"])
    cause: dict[str, Any] = line["cause"]
    return cause


CLOCK = {"kind": "clock", "ends": ENDS}
CHANGED = {"state": "suspended", "updatedAt": "t2"}
STATE = {"kind": "state", "state": "suspended", "updatedAt": "t2"}
PERSON = {"kind": "person", "manager": "alice", "since": "2026-01-10T09:59:59Z"}
GONE = {"at": "2026-01-08T10:00:00.000000Z", "rank": 90, "event": "e-left"}


@pytest.mark.parametrize(
    ("before", "access", "status", "expected"),
    [
        (installation(ALLOWED, trial=EXTENDED), refused("TrialEnded"), {}, CLOCK),
        (installation(ALLOWED, deadlines={"trial": ENDS}), refused("TrialEnded"), {}, CLOCK),
        # Talkdesk's state follows its own clock.
        (
            installation(ALLOWED, deadlines={"trial": ENDS}),
            refused("TrialEnded"),
            {"talkdesk": CHANGED, "impending": {"reason": "TrialEnded", "since": ENDS}},
            CLOCK,
        ),
        # An earlier trial's end was known while this one ran.
        (installation(ALLOWED, trial=ENDED, deadlines={"trial": ENDS}), refused("TrialEnded"), {}, CLOCK),
        (
            installation(ALLOWED, seen=False, trial=ENDED, deadlines={"trial": ENDS}),
            refused("TrialEnded"),
            {},
            {"kind": "event", "event": "e-trial"},
        ),
        # Not the newest event, but the one that ended it.
        (
            installation(ALLOWED, seen=False, trial=ENDED, updated=UPDATED),
            refused("TrialEnded"),
            {"talkdesk": CHANGED},
            {"kind": "event", "event": "e-trial"},
        ),
        # Ended before its time, and the event was lost.
        (
            installation(ALLOWED, deadlines={"trial": "2026-01-20T10:00:00Z"}),
            refused("TrialEnded"),
            {"talkdesk": CHANGED},
            STATE,
        ),
        (installation(ALLOWED, suspend=True), refused("Suspended"), {}, PERSON),
        (installation(refused("Suspended")), ALLOWED, {"talkdesk": CHANGED}, PERSON),
        (
            installation(refused("Suspended"), suspend=True, seen=False, uninstalled=GONE, trial=ENDED),
            refused("Uninstalled"),
            {"talkdesk": CHANGED},
            {"kind": "event", "event": "e-left"},
        ),
        (
            installation(refused("Installing"), updated=UPDATED),
            ALLOWED,
            {"answers": [APPROVED]},
            {"kind": "answer", "answer": "approve", "state": "installing", "event": "e-updated"},
        ),
        (installation(ALLOWED), refused("Uninstalled"), {"talkdesk": CHANGED}, STATE),
        (installation(ALLOWED), refused("SuspendedByTalkdesk"), {"talkdesk": CHANGED}, STATE),
        (
            installation(ALLOWED),
            refused("CredentialsRefused"),
            {"impending": {"reason": "CredentialsRefused", "since": ENDS}},
            {"kind": "state", "state": "completed", "updatedAt": "t1"},
        ),
        (
            installation(ALLOWED, updated=UPDATED),
            refused("Superseded"),
            {"talkdesk": CHANGED},
            {"kind": "superseded"},
        ),
        (
            installation(None, seen=False, updated=UPDATED),
            refused("Installing"),
            {},
            {"kind": "event", "event": "e-updated"},
        ),
    ],
)
def test_the_cause_is_what_made_it_so(
    before: TalkdeskInstallation, access: dict[str, str], status: dict[str, Any], expected: dict[str, Any]
) -> None:
    assert caused(before, access, **status) == expected


def test_access_that_is_what_it_was_is_no_line() -> None:
    one = installation(ALLOWED)
    assert audit.access_changed(one, one.status, stored=STORED, now=NOW) is None
