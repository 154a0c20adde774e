"""What a customer's people do from a terminal, beside a real Talkdesk stand-in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from talkdesk_sandbox.customer.acts import Customer, NotThere
from talkdesk_sandbox.plain import plain
from talkdesk_sandbox.talkdesk import StandIn
from talkdesk_sandbox.website import served
from talkdesk_sandbox.whereabouts import Whereabouts

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.processes


@pytest.fixture
def app() -> Iterator[str]:
    with served("127.0.0.1", {}, missing="<p>Good morning</p>") as url:
        yield url


@pytest.fixture
def stand_in(tmp_path: Path, app: str) -> Iterator[StandIn]:
    """With an account of Ada, who installed the app and has left since, and of Ben."""
    with StandIn.start(tmp_path / "talkdesk") as talkdesk:
        plan = {
            "name": "Trial", "type": "trial", "license_type": "universal", "price": 0,
            "min_licenses": 1, "max_licenses": 9,
        }  # fmt: skip
        listed = {"name": "Greeter", "events_url": app, "launch_url": app, "redirect_uris": [app]}
        made = talkdesk.post("/control/apps", {**listed, "scopes": [], "plans": [plan]})
        account = talkdesk.post("/control/accounts", {"name": "northwind", "region": "us"})["id"]
        ada, ben = (
            talkdesk.post(
                f"/control/accounts/{account}/users", {"name": name, "email": f"{name[:3]}@n.example"}
            )["id"]
            for name in ("Ada Lovelace", "Ben Novak")
        )
        install = {"app_id": made["id"], "account_id": account, "plan": "Trial", "created_by": ada}
        talkdesk.post("/control/install", {**install, "users": [ada, ben]})
        talkdesk.patch(f"/control/users/{ada}", {"active": False})
        yield talkdesk


async def _open(stand_in: StandIn, who: str | None) -> list[str]:
    up = Whereabouts(
        console=stand_in.console,
        control=stand_in.control,
        browser=stand_in.browser,
        kubeconfig="/k",
        programs="/p",
    )
    said: list[str] = []
    async with plain(base_url=up.control, timeout=20) as http:
        await Customer(up, http, "northwind", said.append).open(who=who)
    return said


async def test_a_colleague_opens_the_app_when_who_installed_it_has_left(stand_in: StandIn) -> None:
    said = await _open(stand_in, "Ben")
    assert said[0].startswith("Ben Novak of northwind clicks the icon of Greeter")
    assert said[-1] == "  | Good morning"


async def test_who_installed_it_and_has_left_cannot_open_it_and_others_are_named(stand_in: StandIn) -> None:
    with pytest.raises(NotThere, match=r"no active user any more.*--user.*Ben Novak"):
        await _open(stand_in, None)
