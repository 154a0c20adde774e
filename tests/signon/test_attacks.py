"""What strangers, other tenants and other users may try in a browser, against the whole chain."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest

from chain.people import SCRIPT

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.sandbox,
]

BAD_STEP = "This sign-in cannot be completed"


# Codes, states, tickets and cookies.


async def test_a_sign_in_that_another_browser_began_gives_no_session(world: Any, acme: Any) -> None:
    attacker, victim = await acme.person("ben").at_talkdesk(), await acme.person("cleo").at_talkdesk()
    callback = (await attacker.follow("/_td/callback")).headers["location"]
    async with world.counts(("enter", "no-cookies")):
        world.refused(await victim.http.get(callback), 400, "Your browser keeps no cookies for this app")
    await victim.is_out()
    async with world.counts(("callback", "bad-step")):
        world.refused(await attacker.http.get(callback), 400, BAD_STEP)  # the code was used
    await attacker.is_out()

    await victim.enters()
    callback = (await attacker.follow("/_td/callback")).headers["location"]
    async with world.counts(("enter", "bad-step")):
        world.refused(await victim.http.get(callback), 400, BAD_STEP)
    await victim.is_in()  # the session is the victim's own still


async def test_a_used_code_and_a_used_ticket_are_worth_nothing(world: Any, acme: Any) -> None:
    ben = await acme.person("ben").at_talkdesk()
    callback = (await ben.follow("/_td/callback")).headers["location"]
    ticket = (await ben.http.get(callback, follow_redirects=False)).headers["location"]
    async with world.counts(("callback", "bad-step")):
        world.refused(await ben.http.get(callback), 400, BAD_STEP)
    assert "Hello, Ben" in (await ben.http.get(ticket)).text
    stranger = acme.person("eve")
    async with world.counts(("enter", "no-cookies")):
        world.refused(await stranger.http.get(ticket), 400, "Your browser keeps no cookies for this app")
    await ben.post("/_td/sign-out", headers={"Origin": acme.origin})
    world.refused(await ben.http.get(ticket), 400, "Your browser keeps no cookies for this app")
    await ben.is_out()


async def test_codes_and_states_of_others_do_not_fit(world: Any, acme: Any, bolt: Any) -> None:
    ben, cleo = await acme.person("ben").at_talkdesk(), await acme.person("cleo").at_talkdesk()
    dan = await bolt.person("dan").at_talkdesk()

    async def sent_back(person: Any) -> httpx.URL:
        return httpx.URL((await person.follow("/_td/callback")).headers["location"])

    # A code of another customer's, with a state of one's own: Talkdesk gave it to another client.
    own, foreign = await sent_back(ben), await sent_back(dan)
    async with world.counts(("callback", "bad-step")):
        mixed = own.copy_set_param("code", foreign.params["code"])
        world.refused(await ben.http.get(mixed), 400, BAD_STEP)
    # A state of another customer's leads to that customer's host, where this browser began nothing.
    own, foreign = await sent_back(ben), await sent_back(dan)
    world.refused(await ben.http.get(foreign.copy_set_param("code", own.params["code"])), 400, BAD_STEP)
    # A colleague's code: the app was opened as ben, and cleo is told so instead of being signed in.
    own, colleague = await sent_back(ben), await sent_back(cleo)
    answer = await ben.http.get(own.copy_set_param("code", colleague.params["code"]))
    assert (answer.status_code, "Continue as Cleo" in answer.text) == (200, True)
    # What was never ours.
    own = await sent_back(ben)
    state = own.params["state"]
    middle = len(state) // 2
    for forged in ("", "x", state[:middle] + ("A" if state[middle] != "A" else "B") + state[middle + 1 :]):
        async with world.counts(("callback", "bad-step")):
            world.refused(await ben.http.get(own.copy_set_param("state", forged)), 400, BAD_STEP)
    world.refused(await ben.http.get(own.copy_remove_param("code")), 400, BAD_STEP)
    twice = f"{own}&state={state}"
    world.refused(await ben.http.get(twice), 400, BAD_STEP)
    for person in (ben, dan, cleo):
        await person.is_out()


async def test_a_cookie_opens_nothing_but_its_own_tenant_and_only_as_it_was_given(
    world: Any, acme: Any, bolt: Any
) -> None:
    ben, there = await acme.here("ben"), bolt.person("ben")
    whole = ben.cookie
    pairs = dict(part.split("=", 1) for part in whole.split("; "))
    session, use = pairs["__Host-td-session"], pairs["__Host-td-use"]
    at = len(session) - 30
    wrong = {
        "changed": f"__Host-td-session={session[:at]}{'A' if session[at] != 'A' else 'B'}{session[at + 1 :]}",
        "another kind": f"__Host-td-session={use}; __Host-td-use={session}",
        "the use alone": f"__Host-td-use={use}",
        "another name": f"td-session={session}; __Secure-td-session={session}; __host-td-session={session}",
    }
    tried = [(bolt, whole), *((acme, cookie) for cookie in wrong.values())]
    async with world.counts(("session", "sign-in"), decision="sign-in"):
        for customer, cookie in tried:
            person = there if customer is bolt else acme.person("ben")
            for path in ("/", "/whoami", "/_td/session"):
                answer = await person.get(path, headers={**SCRIPT, "Cookie": cookie})
                assert answer.status_code == 401, (customer.host, path, cookie[:60])
            answer = await person.get("/", headers={"Cookie": cookie, "Accept": "text/html"})
            assert (answer.status_code, answer.headers["location"]) == (303, "/_td/start?to=/")
            headers = {"Host": customer.host, "Cookie": cookie}
            for replica in world.replicas:
                async with world.raw.get(replica.url(8081, "/decide/"), headers=headers) as decided:
                    assert decided.status == 401
    await ben.is_in()


# What a client may not say.


async def test_no_header_of_ours_can_be_smuggled_in(world: Any, acme: Any) -> None:
    ben, eve = await acme.here("ben"), acme.users["eve"]["id"]
    token = (await world.replicas[0].decides(ben))[1]["x-td-identity"]
    spelt = [
        "X-TD-User", "x-td-user", "X-Td-User", "x_td_user", "X_TD_USER", "x-td_user", "x.td.user",
        "X-TD-Identity", "x_td_identity", "X-TD-Role", "x-td-plan", "X-Td-Installation", "x-td-upstream",
        "X-TD-Anything", "x-envoy-original-dst-host", "x-envoy-auth-headers-to-remove",
    ]  # fmt: skip
    smuggled = "".join(f"{name}: {eve}\r\n{name}: {token}x\r\n" for name in spelt)
    lines = (
        f"GET /whoami HTTP/1.1\r\nHost: {acme.host}:{world.environment.edge.port}\r\n{smuggled}"
        f"Cookie: {ben.cookie}\r\nCookie: x-td-user={eve}\r\nAccept: application/json\r\n"
        "Connection: close\r\n\r\n"
    )
    reader, writer = await asyncio.open_connection("127.0.0.1", world.environment.edge.port)
    writer.write(lines.encode())
    answer = (await asyncio.wait_for(reader.read(), 10)).decode()
    writer.close()
    head, _, body = answer.partition("\r\n\r\n")
    assert head.startswith("HTTP/1.1 200"), answer
    told = json.loads(body[body.index("{") : body.rindex("}") + 1])
    assert told["user"]["id"] == ben.user["id"]
    assert set(told["headers"]) == {
        f"x-td-{name}" for name in ("installation", "account", "user", "name", "email", "role", "plan")
    }
    assert eve not in json.dumps(told["headers"])
    assert told["headers"]["x-td-user"] == ben.user["id"]
    assert "__Host-td" not in (told["cookie"] or "")


async def test_a_form_of_another_tenants_page_changes_nothing(world: Any, acme: Any, bolt: Any) -> None:
    ben = await acme.here("ben")
    another = "This request came from another site"
    foreign: list[dict[str, str]] = [
        {"Origin": bolt.origin},
        {"Origin": "null"},
        {"Origin": "https://evil.example"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site"},
    ]
    for headers in foreign:
        async with world.counts(("sign-out", "cross-site"), decision="cross-site"):
            world.refused(await ben.post("/upload", headers=headers), 403, another)
            world.refused(await ben.post("/_td/sign-out", headers=headers), 403, another)
    await ben.is_in()  # the foreign form signed nobody out
    own = await ben.post("/upload", headers={"Origin": acme.origin})
    assert own.json()["bytes"] == 0


@pytest.mark.parametrize(
    "to",
    ["//evil.example", "https://evil.example/", "/\\evil.example", "/\t/evil.example", "\\\\evil.example",
     "/%0d%0aLocation:%20https://evil.example", "javascript:alert(1)", "/" * 3000,
     "/_td/../..//evil.example"],
)  # fmt: skip
async def test_a_sign_in_leads_nowhere_but_into_the_app(acme: Any, to: str) -> None:
    ben = await acme.person("ben").at_talkdesk()
    answer = await ben.click(to=to)
    for hop in (*answer.history, answer):
        leads = hop.headers.get("location")
        target = hop.url.join(leads) if leads else hop.url
        assert target.host == "localhost" or target.host.endswith(".localhost"), f"{hop.url} → {leads}"
    assert answer.url.host == acme.host
    for path in ("/_td/start", "/_td/launch"):
        begun = await ben.http.get(
            acme.origin + path, params={"to": to, "hint": ben.user["id"]}, follow_redirects=True
        )
        assert begun.url.host.endswith(".localhost")
    await ben.is_in()
