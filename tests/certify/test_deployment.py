"""A real deployment is looked at as one of its users, without a simulator; what is left out is said."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import TYPE_CHECKING, Any

import pytest

from talkdesk_certify.questions import QUESTIONS
from talkdesk_sandbox.story.observe import NotYet, eventually

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [
    pytest.mark.sandbox,
    pytest.mark.asyncio(loop_scope="session"),
    # Playwright leaves the pipes of its driver to the garbage collector.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]
_PATIENCE = 30


async def _installed(stand_in: Any, app_id: str) -> dict[str, Any]:
    """A customer who has the app: the account, its one user, the installation."""
    account = stand_in.post("/control/accounts", {"name": "deployed", "region": "ca"})
    user = stand_in.post(
        f"/control/accounts/{account['id']}/users", {"name": "Ida Berg", "email": "ida@deployed.example"}
    )
    body = {"app_id": app_id, "account_id": account["id"], "plan": "Professional"}
    answer = stand_in.post("/control/install", {**body, "users": [user["id"]], "created_by": user["id"]})

    async def completed() -> None:
        every = stand_in.get("/control/state")["installations"]
        state = next(one["state"] for one in every if one["id"] == answer["installation_id"])
        if state != "completed":
            raise NotYet(state)

    await eventually(completed, within=_PATIENCE)
    return {"account": account, "user": user, "installation": answer["installation_id"]}


async def test_one_user_of_a_deployment_is_enough_for_items_2_and_9(workshop: Any, tmp_path: Path) -> None:
    stand_in = workshop.environment.stand_in
    version = workshop.links[None].rpartition("/")[2]
    app_id = next(
        app["id"] for app in stand_in.get("/control/state")["apps"] if app["version"]["id"] == version
    )
    customer = await _installed(stand_in, app_id)
    user = customer["user"]
    context = await workshop.browser.new_context()
    page = await context.new_page()
    await page.goto(f"{stand_in.sign_on_host('deployed', 'ca')}/login")
    await page.locator(f'button[value="{user["id"]}"]').click()
    await page.get_by_text("is signed in to Talkdesk in this browser").wait_for()
    await context.storage_state(path=tmp_path / "state.json")
    await context.close()
    url = stand_in.get("/control/launch", installation_id=customer["installation"], user_id=user["id"])["url"]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "talkdesk_cli", "certify", "--report", str(tmp_path / "report"),
        "--url", url, "--app", "Callboard", "--signed-in", str(tmp_path / "state.json"),
        "--user", "Ida Berg", "--account", "deployed", "--bar", "talkdesk-bar",
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()
    told = json.loads((tmp_path / "report" / "report.json").read_text())
    items = {item["id"]: item for item in told["items"]}
    assert set(items) == set("123456789")
    made = {check["id"] for item in items.values() for check in item["checks"] if check["status"] == "pass"}
    assert made == {
        "2.launches", "2.no-login", "2.own-account", "2.bar-visible", "2.bar-covers-nothing", "2.purpose",
        "2.account-data", "2.onboarding", "9.terms",
    }  # fmt: skip
    others = [check for item in items.values() for check in item["checks"] if check["id"] not in made]
    assert {check["status"] for check in others} == {"skipped"}
    assert all(check["detail"].startswith("left out: it needs the sandbox") for check in others)
    shown = {one["id"] for one in told["questions"] if one["screenshots"]}
    assert shown == {"ask.purpose", "ask.data", "ask.help", "ask.terms"}
    assert {one["id"] for one in told["questions"]} == {one.id for one in QUESTIONS}
    # A link may carry what is nobody's business.
    assert url.rpartition("?")[2] not in json.dumps(told)
