"""A launch that comes before its installation, or before provisioning ended."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import httpx
import pytest

from talkdesk_gateway.signin.launch import UNKNOWN_SECONDS, UNREADY_SECONDS


@pytest.mark.parametrize("known", [False, True])
async def test_a_launch_that_comes_too_early_waits_and_goes_on_at_once(gateway: Any, known: bool) -> None:
    del gateway.directory.tenancies["i1"]
    if known:
        gateway.put(reason="Installing", host=None)
    browser, url = gateway.browser(), gateway.launch_url(to="/x")
    first = await browser.get(url)
    assert first.status_code == 202
    assert "This page goes on by itself" in first.text
    asked = asyncio.create_task(browser.get(url + "&waited=1"))
    await gateway.directory.heard()
    assert not asked.done()
    gateway.put(users={"u1": "e1"})
    # Long before the question would have been answered anyway.
    answer = await asyncio.wait_for(asked, 3)
    assert answer.status_code == 303
    assert answer.headers["Location"] == gateway.url("/_td/start?installation=i1&hint=u1&to=%2Fx")
    assert not gateway.directory.listeners


async def test_the_page_asks_for_the_launch_it_was_shown_for(gateway: Any) -> None:
    url = gateway.launch_url(installation="later", to="/x?y=1&z=2")
    page = (await gateway.browser().get(url)).text
    script = re.search(r'const url = "([^"]*)"', page)
    assert script is not None
    asked = httpx.URL(script.group(1).encode().decode("unicode_escape"))
    assert asked.params == httpx.URL(url).params


@pytest.mark.parametrize("reason", ["Installing", "CredentialsSpreading", "NotChecked"])
async def test_what_passes_by_itself_is_waited_for(gateway: Any, reason: str) -> None:
    gateway.put(reason=reason)
    assert (await gateway.browser().get(gateway.launch_url())).status_code == 202


async def test_an_installation_that_nobody_knows_is_given_up_after_a_minute(gateway: Any) -> None:
    url = gateway.launch_url(installation="nobody")
    answer = await asyncio.wait_for(gateway.browser().get(f"{url}&waited={UNKNOWN_SECONDS}"), 3)
    assert answer.status_code == 404
    assert "We do not know this installation" in answer.text
    assert "help@example.com" in answer.text
    assert re.search(r"Reference <code>[A-Z2-9]{4}-[A-Z2-9]{4}</code>", answer.text)
    assert gateway.counted("launch", "unknown-installation") == 1


async def test_provisioning_is_given_up_after_ten_minutes_with_a_way_to_try_again(gateway: Any) -> None:
    gateway.put(reason="Installing")
    url = gateway.launch_url()
    answer = await asyncio.wait_for(gateway.browser().get(f"{url}&waited={UNREADY_SECONDS}"), 3)
    assert answer.status_code == 503
    assert "takes longer than usual" in answer.text
    again = re.search(r'href="([^"]*/_td/launch[^"]*)"', answer.text)
    assert again is not None
    assert "waited" not in again.group(1)


async def test_nonsense_in_the_query_is_no_waiting_and_no_fault(gateway: Any) -> None:
    for waited in ("-1", "x", "9" * 40, "\N{ARABIC-INDIC DIGIT ONE}"):
        answer = await gateway.browser().get(gateway.launch_url(installation="nobody", waited=waited))
        assert answer.status_code == 202


@pytest.mark.parametrize("installation", ["", "a b", "x" * 129, "é", "a\nb"])
async def test_what_can_be_no_installation_is_not_waited_for(gateway: Any, installation: str) -> None:
    answer = await gateway.browser().get(gateway.launch_url(installation=installation))
    assert answer.status_code == 404
    assert "We do not know this installation" in answer.text


async def test_an_installation_that_is_named_twice_is_none(gateway: Any) -> None:
    answer = await gateway.browser().get(gateway.launch_url() + "&talkdesk_installation_id=i2")
    assert answer.status_code == 404


async def test_a_launch_at_a_host_that_no_app_launches_at_is_a_404(gateway: Any) -> None:
    answer = await gateway.browser().get(gateway.url("/_td/launch?talkdesk_installation_id=i1"))
    assert answer.status_code == 404
    assert "Nothing lives at this address" in answer.text


async def test_a_hint_that_can_be_no_user_is_left_out(gateway: Any) -> None:
    answer = await gateway.browser().get(gateway.launch_url(user="x" * 129))
    assert answer.headers["Location"] == gateway.url("/_td/start?installation=i1")
