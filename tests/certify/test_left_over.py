"""What an earlier run left in the reseller's account, and cannot be uninstalled: the report tells of it."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING

import pytest
from aiohttp import web

from serving import serving
from talkdesk_certify.reviewer import dialogue
from talkdesk_certify.run import certify
from talkdesk_certify.target import Sandbox
from talkdesk_sandbox.chromium import chromium
from talkdesk_sandbox.talkdesk.control_bodies import NewAccount, NewApp, NewUser
from talkdesk_sandbox.talkdesk.platform import Talkdesk
from talkdesk_sandbox.talkdesk.population import add_account, add_app, add_user
from talkdesk_sandbox.talkdesk.server import serve
from talkdesk_sandbox.talkdesk.switches import Switches

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from talkdesk_certify.result import Certification, CheckResult

pytestmark = [
    pytest.mark.processes,
    # Playwright leaves the pipes of its driver to the garbage collector.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


@contextlib.asynccontextmanager
async def _hearing(talkdesk: Talkdesk) -> AsyncIterator[str]:
    """Where an app hears of events: it refuses to be uninstalled, and answers nothing else."""

    async def take(request: web.Request) -> web.Response:
        event = json.loads(await request.read())
        if event["type"] == "app.uninstalled":
            id_ = next(iter(talkdesk.installations))
            talkdesk.answer(id_, verdict="reject", reason="there are open invoices")
        return web.json_response({})

    app = web.Application()
    app.router.add_post("/events", take)
    async with serving(app) as port:
        yield f"http://127.0.0.1:{port}/events"


def _left(talkdesk: Talkdesk, events_url: str, *, approved: bool) -> None:
    """The app is installed in the account of a reseller."""
    app = add_app(
        talkdesk,
        NewApp(
            name="Callboard",
            events_url=events_url,
            launch_url="http://launch.demo.localhost:1/_td/launch",
            redirect_uris=["https://app.example/callback"],
        ),
    )
    account = add_account(talkdesk, NewAccount(name="meridian", region="eu", reseller=True))
    ada = add_user(talkdesk, account.id, NewUser(email="ada@meridian.example", name="Ada Lovelace"))
    id_, _ = talkdesk.install(
        app_id=app.id, account_id=account.id, plan=None, users=[ada.id], created_by=ada.id
    )
    if approved:
        talkdesk.answer(id_, verdict="approve", reason=None)


async def _certified(folder: Path, *, approved: bool) -> tuple[Certification, list[CheckResult]]:
    """The run, and what is heard of it meanwhile."""
    talkdesk = Talkdesk(switches=Switches(rejected_uninstall="restored"))
    told: list[CheckResult] = []
    async with (
        _hearing(talkdesk) as events_url,
        serve(talkdesk, directory=folder) as where,
        chromium() as browser,
    ):
        _left(talkdesk, events_url, approved=approved)
        target = Sandbox(console=where.console)
        done = await certify(target, browser, folder=folder, items=["8.1"], tell=told.append)
    return done, told


@pytest.mark.parametrize(
    ("approved", "why"),
    [
        (False, "no message within 0.5 s: the dialogue still waits for the app"),
        (True, "the dialogue ended otherwise: "),
    ],
    ids=["still installing", "refused"],
)
async def test_what_cannot_be_uninstalled_fails_the_first_check_and_leaves_out_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, approved: bool, why: str
) -> None:
    if not approved:
        monkeypatch.setattr(dialogue, "MESSAGE_SECONDS", 0.5)
    done, told = await _certified(tmp_path, approved=approved)
    assert done.passed is False
    (item,) = done.items
    assert item.id == "8"
    assert list(item.checks) == told
    first, *rest = told
    assert (first.id, first.status) == ("8.1.install-link", "fail")
    assert first.detail.startswith(f"what an earlier run left in meridian could not be uninstalled: {why}")
    assert [one.id for one in rest][-1] == "8.1.mail"
    assert {one.status for one in rest} == {"skipped"}
    assert {one.detail for one in rest} == {"not looked at, because 8.1.install-link did not pass"}
