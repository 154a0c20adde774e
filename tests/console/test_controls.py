"""Each control is pressed as a person presses it, and does what it says to the traffic that follows.

:func:`presses` names the control that a function presses; one that is on the page and has no such function
fails :func:`test_no_control_and_no_field_of_the_page_is_without_its_test`.
"""

from __future__ import annotations

import asyncio
import json
import re
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from showing.forms import forms_of
from talkdesk_sandbox.talkdesk.hosts import REGIONS
from talkdesk_sandbox.talkdesk.switches import Switches

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Press = Callable[[Any], Awaitable[None]]

PRESSED: dict[str, Press] = {}
#: What is filled in beside the buttons, and the function that does so.
FILLED = {"seconds", "region", "installation", *Switches.model_fields}
_MINUTE, _HOUR, _DAY = 60, 3600, 86400
#: Of the switches that are numbers: anything but the defaults.
_NUMBERS = {
    "signing_key_seconds": "86400.0",
    "delivery_timeout_seconds": "5.0",
    "assertion_leeway_seconds": "12.5",
    "token_seconds": "300",
    "code_seconds": "30.0",
    "scope_delay_seconds": "0.5",
    "page_size": "7",
}


def presses(label: str) -> Callable[[Press], Press]:
    """The function presses the control ``label``."""

    def keep(one: Press) -> Press:
        assert label not in PRESSED, label
        PRESSED[label] = one
        return one

    return keep


async def control(show: Any, label: str, **filled: str) -> str:
    """Press it; what is read afterwards."""
    return str(show.told(await show.press(f"{show.root}/controls", label, **filled)))


def arrived(show: Any) -> list[str]:
    """The types of the events that the app got, in their order."""
    return [json.loads(body)["type"] for _, body in show.deliveries]


def sent(show: Any, type_: str = "app.installed") -> list[tuple[int, int | None, str | None]]:
    """Attempt, status and fault of each delivery of that type, by the ledger."""
    return [
        (one["detail"]["attempt"], one["status"], one["detail"].get("fault"))
        for one in show.ledger("delivery")
        if one["event_type"] == type_
    ]


def steps(show: Any, id_: str) -> list[tuple[str, str]]:
    """The states that the installation went through, by the ledger."""
    return [
        (one["detail"]["from"], one["detail"]["to"])
        for one in show.ledger("transition")
        if one["installation_id"] == id_ and one["detail"]["effective"]
    ]


async def an_installation(show: Any, name: str = "acme", region: str = "eu") -> str:
    """Of a customer of its own, approved, and all is delivered."""
    account, users = show.account(name, region)
    id_ = show.installed(account, users[:2])
    await show.settle()
    return str(id_)


async def an_unanswered_install(show: Any) -> tuple[str, dict[str, str], str]:
    """By the dialogue: the address of its last page, who looks at it, and the account's own pages."""
    account, (ada, *_) = show.account("acme")
    at, cookies = show.console.at(account), await show.sign_in(account, ada)
    version = f"{at}/marketplace/install/{show.app.version.id}"
    answer = await show.post(version, {"plan": "Trial"}, cookies=cookies)
    await show.settle()
    return answer.headers["Location"], cookies, at


# Talkdesk's clock


@presses("5 minutes on: the second attempt")
async def _(show: Any) -> None:
    show.status = 500
    await an_installation(show)
    assert sent(show) == [(1, 500, None)]
    show.status = 202
    await control(show, "5 minutes on: the second attempt")
    assert sent(show) == [(1, 500, None), (2, 202, None)]
    first, second = (body for _, body in show.deliveries if b"app.installed" in body)
    assert first == second


@presses("1 hour on")
async def _(show: Any) -> None:
    show.status = 500
    await an_installation(show)
    await control(show, "1 hour on")
    assert sent(show) == [(1, 500, None), (2, 500, None), (3, 500, None)]


@presses("1 day on")
async def _(show: Any) -> None:
    partner = show.partner(await an_installation(show))
    token = await partner.token()
    assert (await partner.call(token=token)).status_code == 200
    before = show.talkdesk.clock.now()
    page = await control(show, "1 day on")
    now = show.talkdesk.clock.now()
    assert _DAY <= (now - before).total_seconds() < _DAY + _HOUR
    assert f"It is {now.day} {now:%b %Y}" in page
    assert (await partner.call(token=token)).status_code == 401  # it lived ten minutes


@presses("Past seven days: no answer counts any more")
async def _(show: Any) -> None:
    page, cookies, at = await an_unanswered_install(show)
    (installation,) = show.talkdesk.installations.values()
    partner = show.partner(installation.id)
    assert "Waiting for Callboard" in show.told(await show.get(page, cookies=cookies))
    await control(show, "Past seven days: no answer counts any more")
    assert steps(show, installation.id) == [("", "installing"), ("installing", "timeout")]
    late = await partner.call("/state", token=await partner.token(), body={"state": "approve"})
    assert late.status_code == 409
    over = await show.get(page, cookies=cookies)
    assert "The app did not answer within seven days." in show.told(over)
    assert f'href="/marketplace/install/{show.app.version.id}">Try again</a>' in over.text
    # It is repeated, by the link that is offered, and can succeed.
    plan = await show.get(f"{at}/marketplace/install/{show.app.version.id}", cookies=cookies)
    assert "Choose a plan" in show.told(plan)
    users = f"{at}/marketplace/install/{show.app.version.id}/users?plan=Trial"
    waiting = await show.press(users, "Install Callboard", cookies=cookies)
    assert "Waiting for Callboard" in show.told(waiting)
    *_, second = show.talkdesk.installations.values()
    await show.settle()
    again = show.partner(second.id)
    taken = await again.call("/state", token=await again.token(), body={"state": "approve"})
    assert taken.status_code == 200
    assert steps(show, second.id)[-1] == ("installing", "completed")
    assert "Try again" not in (await show.get(page, cookies=cookies)).text


@presses("acme: the day before the trial ends")
async def _(show: Any) -> None:
    id_ = await an_installation(show)
    ends = show.talkdesk.installation(id_).trial.expires_at
    await control(show, "acme: the day before the trial ends")
    assert _DAY - _MINUTE < (ends - show.talkdesk.clock.now()).total_seconds() <= _DAY
    assert steps(show, id_)[-1] == ("installing", "completed")
    assert "app.trial_ended" not in arrived(show)


@presses("acme: past the end of the trial")
async def _(show: Any) -> None:
    id_ = await an_installation(show)
    await control(show, "acme: past the end of the trial")
    assert steps(show, id_)[-1] == ("completed", "suspended")
    (ended,) = (json.loads(body) for _, body in show.deliveries if b"app.trial_ended" in body)
    assert ended["data"]["ended_reason"] == "trial_expired"
    assert "acme: past the end" not in await control(show, "1 hour on")


@presses("Move on")
async def _(show: Any) -> None:
    show.status = 500
    await an_installation(show)
    await control(show, "Move on", seconds="299")
    assert sent(show) == [(1, 500, None)]
    await control(show, "Move on", seconds="1.5")
    assert sent(show) == [(1, 500, None), (2, 500, None)]
    back = await show.post(f"{show.root}/controls/clock", {"seconds": "-1"})
    assert (back.status_code, "greater than or equal to 0" in show.told(back)) == (400, True)


# Faults of deliveries


@presses("Drop")
async def _(show: Any) -> None:
    assert "Deliveries: drop" in await control(show, "Drop")
    await an_installation(show)
    assert arrived(show) == ["app.trial_started"]
    assert sent(show) == [(1, None, "drop")]
    assert "lost on its way" in show.told(await show.get(f"{show.root}/timeline"))
    await control(show, "5 minutes on: the second attempt")
    assert arrived(show) == ["app.trial_started", "app.installed"]
    assert sent(show) == [(1, None, "drop"), (2, 202, None)]


@presses("Delay")
async def _(show: Any) -> None:
    assert "Deliveries: delay" in await control(show, "Delay")
    began = asyncio.get_running_loop().time()
    await an_installation(show)
    assert asyncio.get_running_loop().time() - began >= 5
    assert arrived(show) == ["app.trial_started", "app.installed"]
    assert sent(show) == [(1, 202, "delay")]


@presses("Duplicate")
async def _(show: Any) -> None:
    await control(show, "Duplicate")
    await an_installation(show)
    assert sorted(arrived(show)) == ["app.installed", "app.installed", "app.trial_started"]
    assert sent(show) == [(1, 202, "duplicate")] * 2
    assert len({body for _, body in show.deliveries if b"app.installed" in body}) == 1


@presses("Reorder")
async def _(show: Any) -> None:
    await control(show, "Reorder")
    id_ = await an_installation(show)
    await show.settle()  # what was kept back leaves when the next one has arrived
    assert arrived(show) == ["app.trial_started", "app.installed"]
    assert sent(show) == [(1, 202, "reorder")]
    # Where no other one follows, it comes by itself.
    await control(show, "Reorder")
    show.talkdesk.rotate(id_, compromise=False)
    await show.settle()
    assert len(show.deliveries) == 2
    await control(show, "Move on", seconds="61")
    assert arrived(show)[2:] == ["app.credentials_rotated"]


@presses("Bad signature")
async def _(show: Any) -> None:
    await control(show, "Bad signature")
    await an_installation(show)
    verdicts = {}
    for (headers, body), type_ in zip(show.deliveries, arrived(show), strict=True):
        key = show.talkdesk.keyring.keys[headers["X-Hub-Ecdsa-Signature-Id"]]
        signature = bytes.fromhex(headers["X-Hub-Ecdsa-Signature"])
        try:
            key.private.public_key().verify(signature, body, ec.ECDSA(hashes.SHA512()))
        except InvalidSignature:
            verdicts[type_] = "bad"
        else:
            verdicts[type_] = "good"
    assert verdicts == {"app.installed": "bad", "app.trial_started": "good"}
    assert sent(show) == [(1, 202, "bad-signature")]


# Faults of Talkdesk's own hosts


async def answers(show: Any, partner: Any, token: str, number: int) -> list[int | str]:
    """What the app's server gets for so many calls, one after another; the exception's name for none."""
    got: list[int | str] = []
    for _ in range(number):
        try:
            got.append((await partner.call(token=token)).status_code)
        except httpx.TransportError as cut:
            got.append(type(cut).__name__)
    assert [one["status"] for one in show.ledger("api")[-number:]] == [
        503 if isinstance(one, str) else one for one in got
    ]
    return got


@presses("Refuse (503)")
async def _(show: Any) -> None:
    partner = show.partner(await an_installation(show))
    token = await partner.token()
    assert "every region: 503, 1 more" in await control(show, "Refuse (503)")
    assert await answers(show, partner, token, 2) == [503, 200]
    assert "None is in force." in show.told(await show.get(f"{show.root}/controls"))
    first, second = show.ledger("api")
    assert (first["detail"]["fault"]["status"], "fault" in second["detail"]) == (503, False)


@pytest.mark.parametrize("region", REGIONS)
async def test_only_the_hosts_of_the_region_that_was_chosen_misbehave(show: Any, region: str) -> None:
    for one in REGIONS:
        await an_installation(show, f"in-{one}", one)
    ids = {
        show.talkdesk.account(one.account_id).region: id_ for id_, one in show.talkdesk.installations.items()
    }
    partners = {one: show.partner(id_) for one, id_ in ids.items()}
    tokens = {one: await partner.token() for one, partner in partners.items()}
    assert f"region {region}: 503, 1 more" in await control(show, "Refuse (503)", region=region)
    told = {one: (await answers(show, partners[one], tokens[one], 1))[0] for one in REGIONS}
    assert told == {one: 503 if one == region else 200 for one in REGIONS}


@presses("Too many (429)")
async def _(show: Any) -> None:
    partner = show.partner(await an_installation(show))
    token = await partner.token()
    await control(show, "Too many (429)")
    refused = await partner.call(token=token)
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "2")
    assert await answers(show, partner, token, 3) == [429, 429, 200]


@presses("Answer late")
async def _(show: Any) -> None:
    partner = show.partner(await an_installation(show))
    token = await partner.token()
    assert "every region: 3 s late, 3 more" in await control(show, "Answer late")
    late = await asyncio.gather(*(partner.call(token=token) for _ in range(3)))
    assert [one.status_code for one in late] == [200, 200, 200]
    assert all(one["seconds"] >= 3 and "fault" in one["detail"] for one in show.ledger("api"))
    assert await answers(show, partner, token, 1) == [200]
    assert "fault" not in show.ledger("api")[-1]["detail"]
    assert re.search(
        r"\(fault\) acme 200 3\.\d\d s", show.told(await show.get(f"{show.root}/timeline?kind=api"))
    )


@presses("Lost answer")
async def _(show: Any) -> None:
    await an_unanswered_install(show)
    (installation,) = show.talkdesk.installations.values()
    partner = show.partner(installation.id)
    token = await partner.token()
    await control(show, "Lost answer")
    assert await answers(show, partner, token, 1) == [200]  # of approvals and rejections alone
    with pytest.raises(httpx.TransportError):
        await partner.call("/state", token=token, body={"state": "approve"})
    assert steps(show, installation.id)[-1] == ("installing", "completed")
    assert "cut off" in show.told(await show.get(f"{show.root}/timeline?kind=api"))
    again = await partner.call("/state", token=token, body={"state": "approve"})
    assert (again.status_code, again.json()["state"]) == (200, "completed")
    assert [one["detail"]["effective"] for one in show.ledger("transition")[1:]] == [True, False]


@presses("Region down")
async def _(show: Any) -> None:
    id_ = await an_installation(show)
    here = show.partner(id_)
    elsewhere = show.partner(await an_installation(show, "lumiere", "ca"))
    tokens = await here.token(), await elsewhere.token()
    assert "region eu: cut off, until cleared" in await control(show, "Region down", region="eu")
    cut = await answers(show, here, tokens[0], 4)
    assert all(isinstance(one, str) for one in cut), cut
    with pytest.raises(httpx.TransportError):
        await here.ask()
    assert await answers(show, elsewhere, tokens[1], 1) == [200]
    account = show.talkdesk.account(show.talkdesk.installation(id_).account_id)
    assert await show.sign_in(account, show.talkdesk.users_of(account.id)[0])


@presses("Clear all faults")
async def _(show: Any) -> None:
    partner = show.partner(await an_installation(show))
    token = await partner.token()
    await control(show, "Region down")
    await control(show, "Drop")
    assert "None is in force." in await control(show, "Clear all faults")
    assert await answers(show, partner, token, 1) == [200]
    await an_installation(show, "lumiere", "ca")
    assert {fault for _, _, fault in sent(show)} == {None}


# What Talkdesk does to an installation


@presses("Extend the trial by 30 days")
async def _(show: Any) -> None:
    id_ = await an_installation(show)
    before = show.talkdesk.installation(id_).trial.expires_at
    page = await control(show, "Extend the trial by 30 days", installation=id_)
    assert page.startswith("Timeline")
    await show.settle()
    (extended,) = (json.loads(body) for _, body in show.deliveries if b"app.trial_extended" in body)
    after = show.talkdesk.installation(id_).trial.expires_at
    assert (after - before).days == 30
    assert extended["data"]["expires_at"].startswith(f"{after:%Y-%m-%dT%H:%M}")


@presses("End the trial")
async def _(show: Any) -> None:
    id_ = await an_installation(show)
    await an_installation(show, "other")
    await control(show, "End the trial", installation=id_)
    await show.settle()
    assert steps(show, id_)[-1] == ("completed", "suspended")
    ended = [json.loads(body)["data"] for _, body in show.deliveries if b"app.trial_ended" in body]
    assert [one["installation_id"] for one in ended] == [id_]


@presses("Rotate its credentials")
async def _(show: Any) -> None:
    id_ = await an_installation(show)
    old = show.partner(id_)
    await control(show, "Rotate its credentials", installation=id_)
    await show.settle()
    assert arrived(show)[-1] == "app.credentials_rotated"
    new = show.partner(id_)
    assert new.credentials != old.credentials
    assert [(await one.ask()).status_code for one in (old, new)] == [200, 200]


@presses("Revoke its credentials as compromised")
async def _(show: Any) -> None:
    id_ = await an_installation(show)
    old = show.partner(id_)
    await control(show, "Revoke its credentials as compromised", installation=id_)
    await show.settle()
    assert [(await one.ask()).status_code for one in (old, show.partner(id_))] == [401, 200]


# What Talkdesk does not document


@presses("Set the switches")
async def _(show: Any) -> None:
    page = await show.get(f"{show.root}/controls")
    (form,) = (one for one in forms_of(page.text) if one.action == "/controls/switches")
    assert set(form.fields) == set(Switches.model_fields)
    other = {
        name: next(each for each in one.choices if each not in one.values)
        for name, one in form.fields.items()
        if one.choices
    } | _NUMBERS
    after = await show.press(f"{show.root}/controls", "Set the switches", **other)
    assert {name: str(value) for name, value in show.talkdesk.switches.model_dump().items()} == other
    assert after.text.count(">changed</span>") == len(Switches.model_fields)
    # They act on what happens next.
    account, users = show.account("acme")
    show.talkdesk.install(
        app_id=show.app.id, account_id=account.id, plan=None, users=[users[0].id], created_by=users[0].id
    )
    await show.settle()
    event = json.loads(show.deliveries[0][1])
    assert "event_id" in event
    assert re.search(r"\+00:00$", event["created_at"])
    (delivery,) = show.ledger("delivery")
    assert delivery["detail"]["signature"]["encoding"] == "raw"


@pytest.mark.parametrize("label", PRESSED)
async def test_a_control_does_what_it_says(show: Any, label: str) -> None:
    await PRESSED[label](show)


async def test_no_control_and_no_field_of_the_page_is_without_its_test(show: Any) -> None:
    await an_installation(show)
    await control(show, "Drop")  # a fault in force has a control of its own
    forms = forms_of((await show.get(f"{show.root}/controls")).text)
    assert {one.label.strip() for form in forms for one in form.buttons} == set(PRESSED)
    assert {name for form in forms for name in form.fields} == FILLED
