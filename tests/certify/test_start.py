"""What an item starts from does not come about: a failure in the sandbox; of a deployment it is left out."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest
from playwright.async_api import Error as BrowserError

from talkdesk_certify.check import Failed, Item, NotReached
from talkdesk_certify.guest import Guest
from talkdesk_certify.scene import Scene
from talkdesk_certify.target import Deployment
from talkdesk_certify.walk import Walker

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.async_api import Browser

    from talkdesk_certify.result import CheckResult, ItemResult

_LATE = "Timeout 20000ms exceeded.\nCall log:\n  - waiting for navigation"


async def _walked(folder: Path, why: Exception, *, simulator: bool) -> tuple[ItemResult, list[CheckResult]]:
    """The item, which cannot begin, and what is heard of it meanwhile."""

    async def start(_: Scene) -> None:
        raise why

    async def look(_: Scene) -> str:
        return "it was looked at"

    item = Item("4", "Users", prepare=start)
    told: list[CheckResult] = []
    for name in ("gear", "mail"):
        item.check(name, title=name, how="", fix="", simulator=False)(look)
    guest = Guest(cast("Browser", None), Deployment(url="https://app.example", app="App"))  # nobody comes
    done = await Walker(folder, told.append).walk(
        Scene(app="App", customer=guest),
        id=item.id,
        title=item.title,
        checks=item.checks,
        prepare=start,
        simulator=simulator,
    )
    return done, told


@pytest.mark.parametrize(
    ("why", "said"),
    [
        (Failed("My Apps of Jon has no icon"), "My Apps of Jon has no icon"),
        (NotReached("the app could not be installed"), "the app could not be installed"),
        (
            BrowserError(_LATE),
            "what it starts from did not come about: Timeout 20000ms exceeded. - waiting for navigation",
        ),
    ],
    ids=["failed", "not reached", "hangs"],
)
async def test_an_item_that_cannot_begin_in_the_sandbox_fails_with_its_first_check(
    tmp_path: Path, why: Exception, said: str
) -> None:
    done, told = await _walked(tmp_path, why, simulator=True)
    assert done.status == "fail"
    assert list(done.checks) == told
    assert [(one.id, one.status, one.detail) for one in told] == [
        ("4.gear", "fail", said),
        ("4.mail", "skipped", "not looked at, because 4.gear did not pass"),
    ]


async def test_what_a_deployment_lacks_for_an_item_is_left_out_and_said(tmp_path: Path) -> None:
    done, told = await _walked(tmp_path, NotReached("left out: nobody is signed in"), simulator=False)
    assert done.status == "skipped"
    assert {one.detail for one in told} == {"left out: nobody is signed in"}
