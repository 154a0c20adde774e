"""What changes between the icon and the app: users, installations, keys, clocks, and other tabs."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import httpx
import pytest

from talkdesk_gateway import sessions
from talkdesk_gateway.seal import Kind, seal, unseal
from talkdesk_gateway.signin.login import LOGIN_LIFE

SESSION, USE = sessions.SESSION_COOKIE, sessions.USE_COOKIE


async def test_a_hinted_user_who_logs_out_on_the_way_signs_in_anew(gateway: Any) -> None:
    """The first sign-in is worth nothing; the second begins under the new epoch."""

    def log_out() -> None:
        gateway.talkdesk.on_the_way = None
        gateway.put(users={"u1": "e2"})

    gateway.talkdesk.on_the_way = log_out
    browser = gateway.browser()
    await browser.follow(gateway.launch_url(to="/x"))
    assert gateway.counted("enter", "again") == 1
    assert gateway.counted("enter", "on") == 1
    found = sessions.read(browser.cookies(), host=gateway.host, keys=gateway.keys.keys, now=gateway.now)
    assert found is not None
    assert found.epoch == "e2"


async def test_a_user_who_is_signed_out_on_the_way_again_and_again_gets_a_page(gateway: Any) -> None:
    epochs = iter(range(2, 99))
    gateway.talkdesk.on_the_way = lambda: gateway.put(users={"u1": f"e{next(epochs)}"})
    browser = gateway.browser()
    answer = await browser.follow(gateway.launch_url())
    assert answer.status_code == 403
    assert "You were signed out meanwhile" in answer.text
    assert SESSION not in browser.cookies()


async def test_without_a_hint_the_epoch_at_the_callback_counts(gateway: Any) -> None:
    gateway.talkdesk.on_the_way = lambda: gateway.put(users={"u1": "e2"})
    browser = gateway.browser()
    await browser.follow(gateway.launch_url(user=None))
    assert gateway.signed_in(browser) == "u1"


async def test_a_logout_between_callback_and_enter_counts(gateway: Any) -> None:
    browser = gateway.browser()
    answer = await browser.follow(gateway.launch_url(user=None), until="/_td/enter")
    gateway.put(users={"u1": "e2"})
    answer = await browser.get(browser.next_of(answer))
    assert answer.status_code == 303
    assert "/_td/start?" in answer.headers["Location"]
    assert SESSION not in browser.cookies()


async def test_a_user_who_is_removed_between_callback_and_enter_does_not_enter(gateway: Any) -> None:
    browser = gateway.browser()
    answer = await browser.follow(gateway.launch_url(), until="/_td/enter")
    gateway.put(users={})
    answer = await browser.get(browser.next_of(answer))
    assert answer.status_code == 403
    assert "You have no licence" in answer.text
    assert SESSION not in browser.cookies()


async def test_enter_waits_for_what_another_replica_has_seen_already(world: Any) -> None:
    async with world.serving(world.parts(settle_seconds=30)):
        browser = world.browser()
        world.put(users={"u1": "e1", "new": "n1"})
        world.talkdesk.user = "new"
        answer = await browser.follow(world.launch_url(user="new"), until="/_td/enter")
        world.put(users={"u1": "e1"})  # this replica's watch is behind
        entering = asyncio.create_task(browser.get(browser.next_of(answer)))
        await world.directory.heard()
        assert not entering.done()
        world.put(users={"u1": "e1", "new": "n1"})
        assert (await entering).headers["Location"] == world.url("/")
        assert world.signed_in(browser) == "new"


@pytest.mark.parametrize("step", ["start", "callback", "enter"])
@pytest.mark.parametrize("before", [None, "another"])
async def test_every_step_waits_for_the_installation_that_another_replica_has_seen(
    world: Any, step: str, before: str | None
) -> None:
    """It is new at its host, where nobody lived before, or the one before it, whom nobody lets in."""
    async with world.serving(world.parts(settle_seconds=30)):
        browser = world.browser()
        answer = await browser.follow(world.launch_url(to="/x"), until=f"/_td/{step}")
        found = world.directory.tenancies.pop("i1")  # this replica's watch is behind
        if before is not None:
            world.put(before, reason="Uninstalled", host=world.host)
        going = asyncio.create_task(browser.get(browser.next_of(answer)))
        await world.directory.heard()
        assert not going.done()
        world.directory.tenancies.clear()
        world.directory.put(found)
        went = await asyncio.wait_for(going, 5)
        assert went.status_code == 303
        await browser.follow(browser.next_of(went))
        assert world.signed_in(browser) == "u1"
        assert not world.directory.listeners


async def test_a_launch_of_an_installation_that_lives_elsewhere_is_not_waited_for_for_ever(
    gateway: Any,
) -> None:
    browser = gateway.browser()
    answer = await browser.get(gateway.url("/_td/start?installation=elsewhere&hint=u1"))
    assert answer.status_code == 303
    assert "/oauth/authorize" in answer.headers["Location"]
    nobody = await browser.get(gateway.url("/_td/start?installation=i1", "nobody.apps.example.com"))
    assert nobody.status_code == 404


async def test_users_that_are_not_known_at_enter_are_no_refusal_of_a_licence(gateway: Any) -> None:
    browser = gateway.browser()
    answer = await browser.follow(gateway.launch_url(), until="/_td/enter")
    gateway.put(users_known=False)
    refused = await browser.get(browser.next_of(answer))
    assert refused.status_code == 503
    assert SESSION not in browser.cookies()


async def test_two_tabs_that_sign_in_at_once_both_succeed(gateway: Any) -> None:
    browser = gateway.browser()
    starts = [gateway.url(f"/_td/start?to=/tab{number}") for number in range(5)]
    # All requests are under way before the first answer is there, as when a browser restores its tabs.
    begun = await asyncio.gather(*(browser.get(url) for url in starts))
    arrived = [await browser.follow(browser.next_of(answer)) for answer in begun]
    assert [answer.headers["Location"] for answer in arrived] == [
        gateway.url(f"/tab{number}") for number in range(5)
    ]


async def test_of_two_users_in_two_tabs_the_later_sign_in_wins_in_both(gateway: Any) -> None:
    gateway.put(users={"u1": "e1", "u2": "e2"})
    browser = gateway.browser()
    first = await browser.follow(gateway.launch_url(user="u1"), until="/_td/enter")
    gateway.talkdesk.user = "u2"
    second = await browser.follow(gateway.launch_url(user="u2"), until="/_td/enter")
    await browser.get(browser.next_of(second))
    assert gateway.signed_in(browser) == "u2"
    of_second = browser.cookies()
    await browser.get(browser.next_of(first))
    assert gateway.signed_in(browser) == "u1"
    # Answers that cross may leave one's session beside the other's use: that use counts for nothing.
    mixed = {SESSION: browser.cookies()[SESSION], USE: of_second[USE]}
    found = sessions.read(mixed, host=gateway.host, keys=gateway.keys.keys, now=gateway.now)
    assert found is not None
    assert (found.user, found.used) == ("u1", None)


async def test_a_sixth_sign_in_takes_the_oldest_ones_place(gateway: Any) -> None:
    browser = gateway.browser()
    begun = []
    for number in range(6):
        gateway.now += timedelta(seconds=1)
        begun.append(await browser.get(gateway.url(f"/_td/start?to=/tab{number}")))
    assert len(browser.cookies()) == 5
    oldest, newest = (
        await browser.follow(browser.next_of(begun[0])),
        await browser.follow(browser.next_of(begun[5])),
    )
    assert oldest.status_code == 400
    assert newest.headers["Location"] == gateway.url("/tab5")


async def test_the_longest_paths_of_many_tabs_still_fit_into_a_request(gateway: Any) -> None:
    browser = gateway.browser()
    for number in range(6):
        gateway.now += timedelta(seconds=1)
        answer = await browser.get(gateway.url(f"/_td/start?to=/{number}{'x' * 2000}"))
        assert answer.status_code == 303
        assert all(len(cookie) <= 4096 for cookie in answer.headers.get_list("Set-Cookie"))
    assert sum(len(name) + len(value) for name, value in browser.cookies().items()) < 7000
    arrived = await browser.follow(browser.next_of(answer))
    assert arrived.headers["Location"] == gateway.url(f"/5{'x' * 2000}")


@pytest.mark.parametrize("skew", [-5, 5])
async def test_five_seconds_between_the_clocks_of_replicas_change_nothing(gateway: Any, skew: int) -> None:
    browser, url = gateway.browser(), gateway.launch_url()
    for step in range(4):
        answer = await browser.get(url)
        gateway.now += timedelta(seconds=skew if step % 2 == 0 else -skew)
        url = browser.next_of(answer)
    assert gateway.signed_in(browser) == "u1"


async def test_an_installation_made_anew_meanwhile_is_another(gateway: Any) -> None:
    browser = gateway.browser()
    answer = await browser.follow(gateway.launch_url(), until="/_td/callback")
    gateway.put(users={"u1": "e1"}, uid="another")
    refused = await browser.get(browser.next_of(answer))
    assert refused.status_code == 400
    assert "Sign in" in refused.text


async def test_an_installation_made_anew_between_callback_and_enter_is_another(gateway: Any) -> None:
    browser = gateway.browser()
    answer = await browser.follow(gateway.launch_url(), until="/_td/enter")
    gateway.put(users={"u1": "e1"}, uid="another")
    assert (await browser.get(browser.next_of(answer))).status_code == 400
    assert SESSION not in browser.cookies()


async def test_a_state_from_before_an_upgrade_goes_on_with_what_is_there_now(gateway: Any) -> None:
    """It names neither credentials nor redirect URI."""
    gateway.put(users={"u1": "e1"}, credentials="first")
    browser = gateway.browser()
    answer = await browser.follow(gateway.launch_url(to="/x"), until="/_td/callback")
    callback = httpx.URL(browser.next_of(answer))
    keys, now = gateway.keys.keys, gateway.now
    claims = unseal(Kind.STATE, callback.params["state"], keys=keys, now=now)
    assert claims is not None
    before = {"host", "installation", "uid", "nonce", "oauth", "verifier", "hint"}
    older = {name: value for name, value in claims.items() if name in before}
    state = seal(Kind.STATE, older, keys=keys, now=now, life=LOGIN_LIFE)
    gateway.put(users={"u1": "e1"}, credentials="next")
    entered = await browser.follow(str(callback.copy_set_param("state", state)))
    assert entered.headers["Location"] == gateway.url("/x")
    used = await browser.get(str(callback.copy_set_param("state", state)))
    assert used.status_code == 400


async def test_the_longest_redirect_uri_fits_into_a_state(gateway: Any) -> None:
    longest = f"{gateway.origin(gateway.launch_host)}/_td/callback?".ljust(2048, "x")
    gateway.put(users={"u1": "e1"}, signIn={"redirectUri": longest}, credentials="c" * 253)
    browser = gateway.browser()
    await browser.follow(gateway.launch_url())
    assert gateway.signed_in(browser) == "u1"


async def test_routine_rotation_of_the_keys_disturbs_no_sign_in(gateway: Any) -> None:
    browser, url = gateway.browser(), gateway.launch_url()
    for number in range(4):
        answer = await browser.get(url)
        gateway.keys.keys = (*gateway.keys.keys, gateway.key(f"next{number}", age=timedelta(hours=1)))
        url = browser.next_of(answer)
    assert gateway.signed_in(browser) == "u1"


async def test_new_keys_alone_end_sessions_and_sign_ins_under_way(gateway: Any) -> None:
    browser = gateway.browser()
    await browser.follow(gateway.launch_url())
    answer = await browser.follow(gateway.launch_url(), until="/_td/enter")
    gateway.keys.keys = (gateway.key("emergency"),)
    assert gateway.signed_in(browser) is None
    assert (await browser.get(browser.next_of(answer))).status_code == 400
    # And a new sign-in is not in the way of what cannot be read any more.
    await browser.follow(gateway.launch_url())
    assert gateway.signed_in(browser) == "u1"
