"""Mail servers that are down, slow or unwilling, and an operator killed at the worst moment.

Each test has an operator of its own; beside the one of another world, which of them writes would be chance.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from talkdesk_kube import NotFound, resources

if TYPE_CHECKING:
    from typing import Any

    World = Any

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_mail_server_that_is_down_delays_no_approval_and_gets_the_mail_once_it_is_up(
    open_world: Any, mail_server: Any, eventually: Any
) -> None:
    server = mail_server()
    async with server.up():
        pass  # its port is known, and nobody listens there
    async with open_world() as world:
        await world.start(**world.mailing("127.0.0.1", server.port))
        await world.declare()
        installed = await world.install()
        await world.approved(installed)
        await world.condition(installed, "Ready", "True")
        failing = await world.condition(installed, "Notified", "False", "MailRetrying")
        assert f"127.0.0.1:{server.port}" in failing["message"]

        killed: list[bool] = []

        async def kill_first() -> None:
            if not killed:
                killed.append(True)
                world.operators[0].kill()

        # The worst moment: the server has the message, and nobody has noted it.
        server.arrived = kill_first
        async with server.up():
            await eventually(world.restarted)
            await world.condition(installed, "Notified", "True", "MailSent")
        assert len(server.kept) == 2
        assert len({mail["Message-ID"] for mail in server.kept}) == 1

        # What the server will never take is given up, and said.
        to = await world.admin(installed)
        server.refused[to] = "550 5.1.1 no such user"
        added = await world.person(installed.account, 9)
        change = {"adding": [added], "removing": []}
        async with server.up():
            await world.post(f"/control/installations/{installed.id}/update", change)
            refused = await world.condition(installed, "Notified", "False", "MailRefused")
            assert "550 5.1.1 no such user" in refused["message"]
        assert len(server.kept) == 2
        server.refused.clear()

        # What is deleted is told of first.
        await world.kube.merge_patch(
            resources.APPS, world.app, {"spec": {"retention": {"seconds": 0}}},
            namespace=world.release.namespace,
        )  # fmt: skip
        await world.post(f"/control/installations/{installed.id}/uninstall", {})
        await world.approved(installed, 3)
        await world.condition(installed, "Notified", "False", "MailRetrying")

        async def gone() -> bool:
            try:
                await world.installation(installed)
            except NotFound:
                return True
            return False

        passes = await world.passes()

        async def looked_again() -> bool:
            return bool(await world.passes() > passes)

        await world.kube.merge_patch(
            resources.APPS, world.app, {"metadata": {"labels": {"touched": "yes"}}},
            namespace=world.release.namespace,
        )  # fmt: skip
        await eventually(looked_again)
        assert not await gone()
        async with server.up():
            await eventually(gone)
        assert len(server.kept) == 3
        assert "was uninstalled" in server.kept[-1]["Subject"]


async def test_a_slow_mail_server_delays_no_approval_and_a_mail_not_sent_in_time_is_given_up(
    open_world: Any, mail_server: Any
) -> None:
    released = asyncio.Event()

    async def hold() -> None:
        await released.wait()

    server = mail_server(answer="451 4.3.0 not now", arrived=hold)
    async with server.up(), open_world() as world:
        await world.start(**world.mailing("127.0.0.1", server.port, TALKDESK_MAIL_SECONDS="3"))
        await world.declare()
        installed = await world.install()
        await world.approved(installed)
        await world.condition(installed, "Ready", "True")
        await world.condition(installed, "Notified", "False", "MailOwed")
        released.set()
        given_up = await world.condition(installed, "Notified", "False", "MailGivenUp")
        assert "451 4.3.0 not now" in given_up["message"]
        (one,) = await world.mail_record(installed)
        assert one["state"] == "givenUp"
    assert server.kept == []
