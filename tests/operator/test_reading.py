"""One reading of an installation, while Talkdesk changes under it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from talkdesk_crds.installation import TalkdeskInstallation
from talkdesk_operator.reading import Reading, read

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
