"""Whoever is not to wait for a host that hangs asks it for nothing, and goes on as if it had not answered."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from samples import sample_of
from talkdesk_client import Credentials, Hosts, InstallationRef, TransportError
from talkdesk_crds import conditions as types
from talkdesk_crds.app import TalkdeskApp
from talkdesk_crds.conditions import Reason
from talkdesk_crds.installation import TalkdeskInstallation
from talkdesk_kube import parse
from talkdesk_operator import talkdesk_roles
from talkdesk_operator.answer import Answerer
from talkdesk_operator.confirm import Readiness
from talkdesk_operator.gate import Verdict
from talkdesk_operator.hanging import Call, Hanging
from talkdesk_operator.incumbent import Role
from talkdesk_operator.memory import InstallationMemory
from talkdesk_operator.notes import Agenda, Notes
from talkdesk_operator.reading import Reading
from talkdesk_operator.rotator import Rotator
from talkdesk_operator.user_rules import UserRules
from talkdesk_operator.user_sync import UserSync

if TYPE_CHECKING:
    from collections.abc import Iterator

    from talkdesk_operator.answer import Desk

NOW = datetime(2026, 2, 1, tzinfo=UTC)
HOST = "api.talkdeskapp.eu"
REF = InstallationRef(
    app_id="app", account_id="account", installation_id="one", root=f"https://{HOST}",
    token_url="https://acme.talkdeskid.eu/oauth/token", hosts=Hosts(api=HOST, identity="talkdeskid.eu"),
    credentials=Credentials(client_id="client"),
)  # fmt: skip
TURNED_AWAY = f"{HOST} does not answer those who ask it already: it is asked again once it does"


class Talkdesk:
    """It notes what it is asked for, and never answers."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __getattr__(self, name: str) -> Any:
        async def call(*_: object) -> None:
            self.asked.append(name)
            raise TransportError("no answer within 20 s")

        return call


@contextmanager
def full(call: Call) -> Iterator[Hanging]:
    """Somebody waits for an answer of the host to ``call``, and nobody else is to."""
    seconds = iter(range(0, 10_000, 10))
    hanging = Hanging(most=1, monotonic=lambda: next(seconds), lasting=1000.0)
    with suppress(TransportError), hanging.asking(HOST, call):
        raise TransportError("no answer within 20 s")
    with hanging.asking(HOST, call):
        yield hanging


def sample(kind: str) -> dict[str, Any]:
    found = sample_of(kind)
    found["metadata"] |= {"namespace": "td", "uid": "u", "generation": 1}
    return found


APP = parse(TalkdeskApp, sample("talkdeskapp"))


def notes(state: str, *, uninstalled: bool = False) -> Notes:
    obj = sample("talkdeskinstallation")
    if not uninstalled:
        del obj["spec"]["talkdesk"]["uninstalled"]
    role = Role.UNINSTALLED if uninstalled else Role.INCUMBENT
    found = Notes(parse(TalkdeskInstallation, obj), InstallationMemory(), given=(), role=role)
    found.fresh = Reading(
        begun=0.0, generation=1, resync_token=None, seen=frozenset(), state=state,
        updated_at="2026-01-31T10:00:00Z", admin=None,
    )  # fmt: skip
    return found


@pytest.fixture
def talkdesk() -> Any:
    return Talkdesk()


def failed(agenda: Agenda) -> bool:
    """The pass is repeated, and not at once."""
    outcome = agenda.outcome()
    return outcome.failed and (outcome.after or 0.0) >= 5.0


async def test_users_are_not_listed_and_stay_as_they_were(talkdesk: Any) -> None:
    held, agenda, nobody = notes("completed"), Agenda(), cast("Any", None)
    with full(Call.USERS) as hanging:
        users = UserSync(
            talkdesk, hanging, slices=nobody, revocations=nobody, endings=nobody, clock=lambda: NOW
        )
        await users.sync(held, APP, REF, cast("Reading", held.fresh), agenda)
    verdict = held.verdicts[types.USERS_SYNCED]
    assert (verdict.status, verdict.reason, verdict.message) == ("False", Reason.LIST_FAILED, TURNED_AWAY)
    assert failed(agenda)
    assert talkdesk.asked == []


async def test_roles_are_not_read_and_everybody_keeps_theirs(talkdesk: Any) -> None:
    rules = UserRules(roles=(("Administrator", "owner"),))
    with full(Call.ROLES) as hanging:
        users, told = await talkdesk_roles.ask(talkdesk, REF, rules, hanging)
        assert (users, told.problem, told.roles.known) == ((), Reason.ROLES_UNKNOWN, False)
        assert TURNED_AWAY in told.message
    assert talkdesk.asked == []


async def test_roles_that_nobody_answers_for_are_asked_by_few(talkdesk: Any) -> None:
    rules, seconds = UserRules(roles=(("Administrator", "owner"),)), iter(range(0, 10_000, 10))
    hanging = Hanging(most=1, monotonic=lambda: next(seconds), lasting=1000.0)
    _, told = await talkdesk_roles.ask(talkdesk, REF, rules, hanging)
    assert "no answer within 20 s" in told.message
    with hanging.asking(HOST, Call.ROLES):
        _, told = await talkdesk_roles.ask(talkdesk, REF, rules, hanging)
    assert TURNED_AWAY in told.message
    assert talkdesk.asked == ["scim_roles"]


async def test_an_answer_is_not_given_and_stays_owed(talkdesk: Any) -> None:
    held, agenda = notes("uninstalled", uninstalled=True), Agenda()

    async def ref(*_: object) -> InstallationRef:
        return REF

    with full(Call.ANSWER) as hanging:
        desk = SimpleNamespace(
            client=talkdesk, hanging=hanging, observer=SimpleNamespace(ref=ref), clock=lambda: NOW,
            monotonic=lambda: 0.0, delivered_within=timedelta(0),
        )  # fmt: skip
        ready = Verdict(Readiness.NOT_YET, Reason.UNINSTALLED, "")
        await Answerer(cast("Desk", desk)).answer(held, APP, ready, agenda)
    verdict = held.verdicts[types.CONFIRMED]
    assert (verdict.status, verdict.reason, verdict.message) == ("False", Reason.ANSWER_FAILED, TURNED_AWAY)
    assert failed(agenda)
    assert (talkdesk.asked, held.given) == ([], ())


async def test_new_credentials_are_not_asked_for_and_will_be(talkdesk: Any) -> None:
    held, agenda, nobody = notes("completed"), Agenda(), cast("Any", None)

    async def ref(*_: object) -> InstallationRef:
        return REF

    with full(Call.ROTATION) as hanging:
        rotator = Rotator(
            client=talkdesk, hanging=hanging, keyring=cast("Any", SimpleNamespace(ref=ref)), publisher=nobody,
            settle=timedelta(0), clock=lambda: NOW, monotonic=lambda: 0.0,
        )  # fmt: skip
        await rotator.rotate(held, APP, agenda)
    assert failed(agenda)
    assert (talkdesk.asked, held.rotation_requested_at) == ([], None)
