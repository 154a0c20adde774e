"""One reading of an installation, while Talkdesk changes under it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from talkdesk_crds.installation import FromTalkdesk, TalkdeskInstallation
from talkdesk_operator import not_found, reconcile
from talkdesk_operator.incumbent import Role
from talkdesk_operator.keys import TenantKey
from talkdesk_operator.memory import InstallationMemory
from talkdesk_operator.notes import Notes
from talkdesk_operator.reading import Reading, read
from talkdesk_operator.tenant.facts import AccountFacts, Facts, TrialFacts

if TYPE_CHECKING:
    from talkdesk_client import InstallationRef, TalkdeskClient

INSTALLATION = TalkdeskInstallation.model_validate(
    {
        "apiVersion": "talkdesk-operator.io/v1alpha1",
        "kind": "TalkdeskInstallation",
        "metadata": {"name": "one", "namespace": "system"},
        "spec": {"appId": "app", "accountId": "account", "installationId": "one"},
    }
)


class Upgraded:
    """A Talkdesk where the customer changes the plan as soon as ``call`` has been answered."""

    def __init__(self, call: str) -> None:
        self._call = call
        self._upgraded = asyncio.Event()

    async def _answer(self, call: str, before: Any, after: Any) -> Any:
        if call == self._call:
            found = after if self._upgraded.is_set() else before
            self._upgraded.set()
            return found
        # Slower than the change, if that is made by a call that runs beside this one.
        for _ in range(10):
            await asyncio.sleep(0)
        return after if self._upgraded.is_set() else before

    async def installation(self, _ref: Any) -> Any:
        before = SimpleNamespace(state="completed", updated_at="1")
        after = SimpleNamespace(state="updating", updated_at="2")
        found = await self._answer("installation", before, after)
        return SimpleNamespace(state=found, created_by=None)

    async def subscription(self, _ref: Any) -> Any:
        before, after = SimpleNamespace(name="Small", type="paid"), SimpleNamespace(name="Large", type="paid")
        return await self._answer("subscription", before, after)

    async def account(self, _ref: Any) -> Any:
        return await self._answer("account", None, None)

    async def trial(self, _ref: Any) -> Any:
        return await self._answer("trial", None, None)


async def _read(talkdesk: Upgraded) -> Reading:
    return await read(
        cast("TalkdeskClient", talkdesk),
        cast("InstallationRef", None),
        INSTALLATION,
        seen=frozenset(),
        now=0.0,
        at=datetime.now(UTC),
        whole=True,
    )


@pytest.mark.parametrize("call", ["installation", "account", "subscription", "trial"])
async def test_a_plan_from_before_an_update_never_stands_beside_the_state_it_led_to(call: str) -> None:
    found = await _read(Upgraded(call))
    assert (found.state, found.plan) != ("updating", "Small")


KEY = TenantKey("app", "eu", "account")
ACCOUNT = AccountFacts(name="acme", company_name="Acme Inc.")
#: What the tenant was last made from.
STORED = Facts(
    app_id="app",
    region="eu",
    account_id="account",
    installation_id="one",
    account=ACCOUNT,
    plan="Small",
    subscription_type="paid",
    app_version="1",
    trial=TrialFacts(state="ended"),
)
MOMENT = ("updating", "2")


def shown(**details: Any) -> Reading:
    """A reading of an update that waits, with these details; the account is not among them."""
    begun: dict[str, Any] = {"begun": 0.0, "generation": None, "resync_token": None, "seen": frozenset()}
    state: dict[str, Any] = {"state": MOMENT[0], "updated_at": MOMENT[1], "admin": None}
    return Reading(**begun, **state, **{"details_of": MOMENT, **details})


def made_from(reading: Reading, *, stored: Facts | None = STORED, **said: Any) -> Facts:
    """What the tenant is made from after ``reading``; ``said`` by events."""
    talkdesk = FromTalkdesk.model_validate(
        {"appVersion": {"at": "2026-01-05T10:00:02.000000Z", "rank": 20, "event": "u", "id": "2"}, **said}
    )
    spec = INSTALLATION.spec.model_copy(update={"talkdesk": talkdesk})
    installation = INSTALLATION.model_copy(update={"spec": spec})
    notes = Notes(installation, InstallationMemory(reading=reading), given=(), role=Role.INCUMBENT)
    found = reconcile._facts(KEY, notes, stored)
    assert found is not None
    return found


def test_plan_and_version_are_followed_although_talkdesk_does_not_tell_the_account() -> None:
    found = made_from(shown(plan="Large", subscription_type="trial"))
    assert (found.plan, found.subscription_type, found.app_version) == ("Large", "trial", "2")
    assert (found.account, found.trial) == (ACCOUNT, None)


def test_an_account_that_is_told_counts_over_the_one_before() -> None:
    account = AccountFacts(name="renamed")
    assert made_from(shown(plan="Large", account=account)).account == account


def test_another_installations_account_is_not_taken_over() -> None:
    stored = STORED.model_copy(update={"installation_id": "another"})
    assert made_from(shown(plan="Large"), stored=stored).account == AccountFacts()


def test_where_neither_account_nor_plan_is_told_the_plan_stays_and_the_version_is_followed() -> None:
    assert made_from(shown()) == STORED.model_copy(update={"app_version": "2"})


def test_a_plan_that_the_update_names_counts_where_talkdesk_tells_nothing() -> None:
    stamp = {"at": "2026-01-05T10:00:02.000000Z", "rank": 20, "event": "u"}
    found = made_from(shown(), updated=stamp, subscription={**stamp, "name": "Large"})
    assert (found.plan, found.account) == ("Large", ACCOUNT)


def test_details_from_before_the_state_that_is_shown_change_nothing() -> None:
    assert made_from(shown(plan="Large", details_of=("completed", "1"))) == STORED


def test_an_installation_that_talkdesk_no_longer_knows_keeps_its_plan_after_a_restart() -> None:
    found = made_from(not_found.reading(INSTALLATION, None, 0.0))
    assert found == STORED.model_copy(update={"app_version": "2"})
