"""From an answer to the mail that it owes, and what becomes of one that cannot even be made."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from samples import sample_of
from talkdesk_client.models import State
from talkdesk_crds.conditions import Reason
from talkdesk_crds.names import ANSWERS_ANNOTATION, MAILS_ANNOTATION
from talkdesk_operator import annotation, answers
from talkdesk_operator.answer import Answerer
from talkdesk_operator.cache import Caches
from talkdesk_operator.confirm import Readiness, uninstall_approved
from talkdesk_operator.directory import Directory
from talkdesk_operator.gate import Verdict
from talkdesk_operator.hanging import Hanging
from talkdesk_operator.incumbent import Role
from talkdesk_operator.keys import MailKey
from talkdesk_operator.mail import record
from talkdesk_operator.mail.desk import MailDesk, Policy
from talkdesk_operator.mail.mailer import Mailer
from talkdesk_operator.mail.outcome import Outcome
from talkdesk_operator.mail.record import Mail
from talkdesk_operator.mail.settings import MailSettings
from talkdesk_operator.mail.smtp import Smtp
from talkdesk_operator.memory import InstallationMemory, Memory
from talkdesk_operator.metrics import Metrics
from talkdesk_operator.notes import Agenda, Notes
from talkdesk_operator.reading import Reading
from talkdesk_operator.slices import SliceStore
from talkdesk_operator.tenant import Release
from talkdesk_operator.tenant.facts import AccountFacts

if TYPE_CHECKING:
    from talkdesk_kube import Kube
    from talkdesk_operator.answer import Desk

AT = datetime(2026, 1, 5, 10, tzinfo=UTC)
PATIENCE = timedelta(days=1)
ADDRESS = "office@acme.example"
RELEASE = Release(namespace="td", name="td", service_account="operator", tenant_cluster_role="tenant")
OWED = Mail(Outcome.INSTALLED, "e-1", at="2026-01-05T10:00:00Z")


class ApiServer:
    """Holds one installation, and takes patches of its annotations."""

    def __init__(self, installation: dict[str, Any]) -> None:
        self.installation = installation

    async def merge_patch(
        self, _resource: object, name: str, patch: dict[str, Any], *, namespace: str
    ) -> dict[str, Any]:
        metadata = self.installation["metadata"]
        assert (metadata["name"], metadata["namespace"]) == (name, namespace)
        annotations = metadata["annotations"] | patch["metadata"]["annotations"]
        version = str(int(metadata["resourceVersion"]) + 1)
        metadata = metadata | {"annotations": annotations, "resourceVersion": version}
        self.installation = self.installation | {"metadata": metadata}
        return self.installation | {"metadata": dict(metadata)}


class DefectiveSmtp(Smtp):
    """It has a bug: what it raises is none of the ways in which sending fails."""

    async def send(self, *_mail: object, **_envelope: object) -> None:
        raise TypeError(f"{ADDRESS} is no address")


class Post:
    """A mailer with one mail to send and an SMTP client that has a bug."""

    def __init__(self) -> None:
        release = RELEASE
        app, installation = self.sample("talkdeskapp"), self.sample("talkdeskinstallation")
        installation["metadata"]["annotations"] = {MAILS_ANNOTATION: annotation.render([OWED])}
        self.server = ApiServer(installation)
        server = cast("Kube", self.server)
        self.now = AT
        self.caches = Caches(server, release)
        self.caches.apps.view.remember(app)
        self.caches.installations.view.remember(installation)
        memory = Memory()
        self.desk = MailDesk(
            server, self.caches, memory, Policy(configured=True, patience=PATIENCE),
            wake=lambda _: None, clock=lambda: self.now,
        )  # fmt: skip
        memory.of(self.installation).reading = Reading(
            begun=0.0, generation=1, resync_token=None, seen=frozenset(), state="completed",
            updated_at=None, admin=None, account=AccountFacts(name="acme", email=ADDRESS),
        )  # fmt: skip
        settings = MailSettings(smtp_host="127.0.0.1", smtp_from="apps@example.com", smtp_tls="none")
        self.mailer = Mailer(
            desk=self.desk,
            smtp=DefectiveSmtp(settings, local_name="operator-0"),
            sender="apps@example.com",
            caches=self.caches,
            directory=Directory(self.caches, release),
            slices=SliceStore(server, self.caches),
            memory=memory,
            metrics=Metrics(CollectorRegistry()),
            release=release,
            wake=lambda _: None,
            clock=lambda: self.now,
        )

    @staticmethod
    def sample(kind: str) -> dict[str, Any]:
        found = sample_of(kind)
        found["metadata"] |= {"namespace": "td", "uid": f"u-{kind}", "resourceVersion": "1", "generation": 1}
        return found

    @property
    def installation(self) -> Any:
        return self.caches.installations.get("td", "sample")


async def test_a_defect_while_a_mail_is_made_is_a_failing_attempt_and_ends_with_patience() -> None:
    post = Post()
    with capture_logs() as logs:
        outcome = await post.mailer.deliver(MailKey("sample"))
    assert (outcome.failed, outcome.deadline) == (True, PATIENCE.total_seconds())
    assert post.desk.owes(post.installation)
    shown = post.desk.verdict(post.installation, None)
    assert (shown.status, shown.reason) == ("False", Reason.MAIL_RETRYING)
    assert "TypeError" in shown.message
    assert ADDRESS not in shown.message
    (defect,) = [one for one in logs if one["log_level"] == "error"]
    assert (defect["installation"], defect["exc_info"]) == ("sample", True)

    post.now = AT + PATIENCE
    outcome = await post.mailer.deliver(MailKey("sample"))
    assert not outcome.failed
    assert not post.desk.owes(post.installation)
    (ended,) = record.of(post.installation)
    assert ended == replace(
        OWED, state="givenUp", ended="2026-01-06T10:00:00Z", cause="MailGivenUp", message=ended.message
    )
    assert "TypeError" in (ended.message or "")
    assert ADDRESS not in (ended.message or "")


class Talkdesk:
    """It takes every answer."""

    def __init__(self, after: State) -> None:
        self.after = after
        self.taken: list[str] = []

    async def answer(self, _ref: object, answer: str, _reason: str | None) -> State:
        self.taken.append(answer)
        return self.after


class Observer:
    """What an answer needs of one."""

    async def ref(self, _notes: object, _app: object) -> object:
        return SimpleNamespace(hosts=SimpleNamespace(api="api.talkdeskapp.eu"))

    def stored(self, _obj: object) -> None:
        """Nobody looks."""


async def approve_uninstallation(post: Post, *, state: str, role: Role) -> dict[str, str]:
    """The annotations once Talkdesk, which shows ``state``, has taken the approval."""
    talkdesk = Talkdesk(State(state="left", updated_at="2026-01-07T10:00:09Z"))
    desk = SimpleNamespace(
        kube=post.server, client=talkdesk, hanging=Hanging(1, lambda: 0.0), observer=Observer(),
        mails=post.desk, metrics=Metrics(CollectorRegistry()), clock=lambda: post.now,
        monotonic=lambda: 0.0, delivered_within=timedelta(0),
    )  # fmt: skip
    notes = Notes(installation=post.installation, memory=InstallationMemory(), given=(), role=role)
    notes.fresh = Reading(
        begun=0.0, generation=1, resync_token=None, seen=frozenset(), state=state,
        updated_at="2026-01-07T10:00:00Z", admin=None,
    )  # fmt: skip
    app = Directory(post.caches, RELEASE).app(post.installation.spec.app_id)
    assert app is not None
    ready = Verdict(Readiness.NOT_YET, Reason.UNINSTALLED, "")
    await Answerer(cast("Desk", desk)).answer(notes, app, ready, Agenda())
    assert talkdesk.taken == ["approve"]
    written: dict[str, str] = post.server.installation["metadata"]["annotations"]
    assert uninstall_approved(answers.parse(written[ANSWERS_ANNOTATION]))
    return written


@pytest.mark.parametrize("state", ["pending", "uninstalled", "leaving"])
async def test_an_approved_uninstallation_is_recorded_and_told_as_one_whatever_its_state_is_called(
    state: str,
) -> None:
    written = await approve_uninstallation(Post(), state=state, role=Role.UNINSTALLED)
    *_, mail = record.parse(written[MAILS_ANNOTATION])
    assert (mail.outcome, mail.request) == (Outcome.UNINSTALLED, "e-3")


async def test_whoever_has_installed_again_is_not_told_that_nobody_has_access_any_more() -> None:
    written = await approve_uninstallation(Post(), state="uninstalled", role=Role.SUPERSEDED)
    assert record.parse(written[MAILS_ANNOTATION]) == (OWED,)
