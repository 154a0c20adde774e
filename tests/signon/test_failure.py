"""Whatever goes wrong with a sign-in has its status, its page with contact and reference, and its metric."""

from __future__ import annotations

import asyncio
import html
import json
import re
from typing import Any

import httpx
import pytest

from chain.world import CONTACT
from talkdesk_sandbox.interceptor import Cut, passing

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.sandbox,
]

NOT_CONFIRMED = "Talkdesk could not confirm who you are"


# Talkdesk's identity host.

TROUBLE: dict[str, dict[str, Any]] = {
    "down": {"path": "/oauth/token", "cut": True},
    "failing": {"path": "/oauth/token", "status": 502, "body": "bad gateway"},
    "answers nonsense": {"path": "/oauth/token", "status": 200, "body": ["<html>", 1]},
    "gives half an answer": {"path": "/oauth/token", "status": 200, "body": {"access_token": 7}},
    "refuses our key": {"path": "/oauth/token", "status": 401, "body": {"error": "invalid_client"}},
    "knows no user": {"path": "/users/me", "status": 404, "body": {}},
    "names no user": {"path": "/users/me", "status": 200, "body": {"name": "Ada"}},
    "loses the answer": {"path": "/users/me", "when": "after", "cut": True},
}


async def test_talkdesks_identity_host_in_trouble_is_a_page_and_touches_no_session(
    world: Any, acme: Any
) -> None:
    ada, ben = await acme.here("ada"), await acme.person("ben").at_talkdesk()
    for trouble, fault in TROUBLE.items():
        async with world.faults(fault), world.counts(("callback", "talkdesk-unavailable")):
            answer = await ben.click()
            world.refused(answer, 503, NOT_CONFIRMED)
            await ada.is_in()
        again = html.unescape(re.findall(r'href="(http[^"]*/_td/start[^"]*)"', answer.text)[0])
        entered = await ben.http.get(again)
        assert "Hello, Ben" in entered.text, f"{trouble}: the page's own way to try again leads in"


async def test_talkdesk_that_is_too_slow_is_a_page_in_time(world: Any, acme: Any) -> None:
    ben = await acme.person("ben").at_talkdesk()
    async with (
        world.faults({"path": "/oauth/token", "delay_seconds": 60, "times": 1}),
        world.counts(("callback", "talkdesk-unavailable")),
    ):
        began = asyncio.get_running_loop().time()
        answer = await ben.click()
        world.refused(answer, 503, NOT_CONFIRMED)
        assert asyncio.get_running_loop().time() - began < 25
    await ben.enters()


async def test_clocks_that_are_five_seconds_apart_change_nothing(
    world: Any, acme: Any, own_gateways: Any
) -> None:
    # Talkdesk forgives nobody's clock here: what comes from its future it refuses.
    async with world.switched(assertion_leeway_seconds=0), own_gateways(skews=(5.0, -5.0)) as own:
        people = [await acme.person(name).at_talkdesk() for name in ("ada", "ben", "cleo") * 3]
        own.take(*people)
        for person in people:  # each step at one of the two, as it comes
            await person.enters()
        for _ in range(4):
            for person in people:
                await person.is_in()
        # Sealed by one of them, read by the chart's own with the true time; and the other way round.
        for person in people:
            person.transport.through = None
            await person.is_in()
            await person.enters()
            own.take(person)
            await person.is_in()


# Nobody's hosts and installations.


async def test_a_host_that_is_no_tenant_has_a_page(world: Any, acme: Any) -> None:
    ben = await acme.here("ben")
    port = world.environment.edge.port
    nothing = "Nothing lives at this address"
    async with world.counts(("start", "unknown-host"), ("launch", "unknown-host"), decision="unknown-host"):
        for host in ("nobody.demo.localhost", "localhost", f"{acme.host}.evil.localhost"):
            for path in ("/", "/_td/start", "/_td/launch", "/_td/enter", "/_td/bar.js", "/_td/nothing"):
                answer = await ben.http.get(f"http://{host}:{port}{path}")
                if path != "/_td/bar.js":
                    world.refused(answer, 404, nothing, contact=host.endswith(".demo.localhost"))
                assert answer.status_code == 404
    for replica in world.replicas:
        headers = {"Host": "nobody.demo.localhost", "Cookie": ben.cookie, "Accept": "text/html"}
        async with world.raw.get(replica.url(8081, "/decide/"), headers=headers) as decided:
            page = await decided.text()
            assert (decided.status, nothing in page, CONTACT in page) == (404, True, True)


async def test_another_user_than_launched_is_told_so(world: Any, acme: Any) -> None:
    ben = await acme.person("ben").at_talkdesk()
    async with world.counts(("enter", "another-user")):
        answer = await ben.click(user=acme.users["cleo"]["id"])
        assert (answer.status_code, world.title(answer)) == (200, "Continue as Ben Of-Acme?")
    await ben.is_out()
    links = [html.unescape(one) for one in re.findall(r'class="button[^"]*" href="([^"]*)"', answer.text)]
    proceed = next(link for link in links if ben.user["id"] in link)
    assert any(httpx.URL(link).path == "/login" for link in links), "the user can be changed at Talkdesk"
    assert "Hello, Ben" in (await ben.http.get(proceed)).text
    await ben.is_in()

    eve = await acme.person("eve").at_talkdesk()
    async with world.counts(("callback", "not-licensed")):
        answer = await eve.click(user=acme.users["ada"]["id"])
        world.refused(answer, 403, "You are signed in to Talkdesk as another user")
        world.refused(await eve.click(), 403, "You have no licence for this app")
    await eve.is_out()


async def test_a_launch_for_an_installation_that_nobody_knows_waits_and_then_says_so(
    world: Any, acme: Any
) -> None:
    ben = await acme.person("ben").at_talkdesk()
    base = httpx.URL(world.environment.edge.launch_url(world.app))
    unknown = base.copy_merge_params({"talkdesk_installation_id": "nobody-knows-it", "talkdesk_user_id": "x"})
    async with world.counts(("launch", "waiting"), ("launch", "unknown-installation")):
        answer = await ben.http.get(unknown)
        assert (answer.status_code, world.title(answer), CONTACT in answer.text) == (
            202,
            "Setting up your app",
            True,
        )
        answer = await ben.http.get(unknown.copy_set_param("waited", "60"))
        world.refused(answer, 404, "We do not know this installation")
        world.refused(await ben.http.get(base), 404, "We do not know this installation")


async def goes_on_by_itself(person: Any) -> tuple[httpx.Response, int]:
    """What a browser does with a page that waits: asks again, and goes on when it is not told to wait."""
    loop = asyncio.get_running_loop()
    began, pages = loop.time(), 0
    answer = await person.click()
    while answer.status_code == 202:
        assert person.customer.world.title(answer) == "Setting up your app"
        assert CONTACT in answer.text
        pages += 1
        again = json.loads(re.findall(r'const url = ("[^"]*")', answer.text)[0])
        answer = await person.http.get(f"{again}&waited={round(loop.time() - began)}")
        assert loop.time() - began < 60, f"{pages} pages"
    return answer, pages


async def test_a_launch_before_provisioning_ended_waits_and_goes_on_by_itself(world: Any) -> None:
    early = await world.account("early")
    await early.install("ada", "ben")
    ada, ben = await early.person("ada").at_talkdesk(), await early.person("ben").at_talkdesk()
    async with world.counts(("launch", "waiting")):
        came = await asyncio.gather(goes_on_by_itself(ada), goes_on_by_itself(ben))
    for person, (answer, pages) in zip((ada, ben), came, strict=True):
        assert pages >= 1, "it was not too early"
        assert (answer.status_code, f"Hello, {person.first}" in answer.text) == (200, True), answer.text[
            -500:
        ]


async def drop_updates(exchange: Any) -> Any:
    """What Talkdesk tells of licences does not reach us."""
    if json.loads(exchange.body).get("type") == "app.updated":
        raise Cut
    return await exchange.forward()


async def test_a_list_that_comes_late_is_a_page_to_try_again_and_no_denial(world: Any) -> None:
    slow = await world.customer("slow", "ada")
    ben = await slow.person("ben").at_talkdesk()
    world.deliveries.rule = drop_updates
    try:
        await slow.control("update", {"adding": [ben.user["id"]], "removing": []})
        # Longer than a sign-in waits, and not too long for the operator.
        late = {"path": r".*/installations/[^/]+/users", "method": "GET", "delay_seconds": 13, "times": 1}
        async with world.faults(late), world.counts(("callback", "unavailable")):
            answer = await ben.click()
            world.refused(answer, 503, "We cannot check your access right now")
            again = html.unescape(re.findall(r'href="(http[^"]*/_td/start[^"]*)"', answer.text)[0])
            assert "Hello, Ben" in (await ben.http.get(again)).text
    finally:
        world.deliveries.rule = passing


async def test_ten_users_at_once_whom_nobody_knew_cost_one_look(world: Any) -> None:
    crowd = await world.customer("crowd", "ada")
    people = []
    for number in range(10):
        body = {"email": f"n{number}@crowd.example", "name": f"New{number} Of-Crowd"}
        path = f"/control/accounts/{crowd.account['id']}/users"
        crowd.users[f"new{number}"] = await world.marketplace.post(path, body) | body
        people.append(await crowd.person(f"new{number}").at_talkdesk())
    world.deliveries.rule = drop_updates
    try:
        seen = len(await world.marketplace.read())
        # Talkdesk has given them the licence, and its event does not reach us.
        await crowd.control("update", {"adding": [one.user["id"] for one in people], "removing": []})
        before = await world.counted()
        # The list takes its time, so that all ten come while it is looked at.
        slow = {"path": r".*/installations/[^/]+/users", "method": "GET", "delay_seconds": 3, "times": 1}
        async with world.faults(slow):
            await asyncio.gather(*(person.enters() for person in people))
        after = await world.counted()
        entries = (await world.marketplace.read())[seen:]
    finally:
        world.deliveries.rule = passing
    lists = [
        one for one in entries
        if one["kind"] == "api" and one.get("installation_id") == crowd.installation_id
        and httpx.URL(one["url"]).path.endswith("/users")
    ]  # fmt: skip
    assert len(lists) == 1, [one["url"] for one in lists]
    found = ("talkdesk_gateway_user_look_ups_total", frozenset({"found"}))
    assert after[found] - before.get(found, 0) == 10
