"""Install, manage, uninstall by forms alone: each ends as the app's server answers."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest


def _newest(show: Any) -> Any:
    return list(show.talkdesk.installations.values())[-1]


async def _request(show: Any, answer: Any, cookies: dict[str, str]) -> Any:
    """The page that a form leads to."""
    assert answer.status_code == 303, show.told(answer)
    return await show.get(answer.headers["Location"], cookies=cookies)


async def test_an_install_waits_and_then_says_that_it_succeeded(show: Any) -> None:
    account, (ada, ben, _) = show.account("acme")
    at, cookies = show.console.at(account), await show.sign_in(account, ada)
    version = show.app.version.id
    plans = await show.get(f"{at}/marketplace/install/{version}", cookies=cookies)
    assert 'value="Trial"' in plans.text
    assert 'href="https://www.demo.example/terms"' in plans.text
    users = await show.get(f"{at}/marketplace/install/{version}/users?plan=Trial", cookies=cookies)
    assert "you install it" in show.told(users)
    answer = await show.post(
        f"{at}/marketplace/install/{version}", {"plan": "Trial", "users": [ben.id]}, cookies=cookies
    )
    waiting = await _request(show, answer, cookies)
    installation = _newest(show)
    assert installation.users == (ada.id, ben.id)
    assert installation.created_by == ada.id
    assert "Waiting for Callboard" in show.told(waiting)
    assert '<noscript><meta http-equiv="refresh" content="2"></noscript>' in waiting.text
    deadline = installation.pending.deadline
    assert f"{deadline.day} {deadline:%b %Y, %H:%M} UTC" in show.told(waiting)
    show.talkdesk.answer(installation.id, verdict="approve", reason=None)
    done = await show.get(answer.headers["Location"], cookies=cookies)
    assert "Callboard is installed" in show.told(done)
    assert "2 users can open it now" in show.told(done)
    assert f"talkdesk_installation_id={installation.id}&amp;talkdesk_user_id={ada.id}" in done.text


async def test_a_rejection_is_told_with_the_app_s_reason(show: Any) -> None:
    account, (ada, *_) = show.account("acme")
    at, cookies = show.console.at(account), await show.sign_in(account, ada)
    answer = await show.post(
        f"{at}/marketplace/install/{show.app.version.id}", {"plan": "Trial"}, cookies=cookies
    )
    installation = _newest(show)
    event = installation.pending.event_id
    # As the Apps API does it, whose ledger entry carries the reason.
    show.talkdesk.answer(installation.id, verdict="reject", reason="No room.")
    show.talkdesk.ledger.add(
        "api",
        method="POST",
        status=200,
        installation_id=installation.id,
        event_id=event,
        detail={"sent": {"state": "reject", "reason": "No room."}},
    )
    failed = show.told(await show.get(answer.headers["Location"], cookies=cookies))
    assert "Callboard could not be installed" in failed
    assert "No room." in failed
    gear = show.told(await show.get(f"{at}/apps/{installation.id}", cookies=cookies))
    assert "Callboard is not installed in acme." in gear


async def test_an_app_that_never_answers_ends_the_dialogue_after_seven_days(show: Any) -> None:
    account, (ada, *_) = show.account("acme")
    at, cookies = show.console.at(account), await show.sign_in(account, ada)
    answer = await show.post(
        f"{at}/marketplace/install/{show.app.version.id}", {"plan": "Trial"}, cookies=cookies
    )
    await show.talkdesk.agenda.advance(timedelta(days=7, minutes=1))
    page = show.told(await show.get(answer.headers["Location"], cookies=cookies))
    assert "did not answer within seven days" in page


@pytest.mark.parametrize("ending", ["not answered", "rejected"])
@pytest.mark.parametrize(("part", "form"), [("users", {"users": []}), ("plan", {"plan": "Standard"})])
async def test_a_change_that_came_to_nothing_can_be_tried_again(
    show: Any, part: str, form: dict[str, Any], ending: str
) -> None:
    account, (ada, ben, _) = show.account("acme")
    id_ = show.installed(account, [ada, ben])
    at, cookies = show.console.at(account), await show.sign_in(account, ada)
    answer = await show.post(f"{at}/apps/{id_}/{part}", form, cookies=cookies)
    assert "Try again" not in (await _request(show, answer, cookies)).text
    if ending == "rejected":
        show.talkdesk.answer(id_, verdict="reject", reason=None)
    else:
        await show.talkdesk.agenda.advance(timedelta(days=7, minutes=1))
    over = await show.get(answer.headers["Location"], cookies=cookies)
    assert "The changes to Callboard were not made" in show.told(over)
    assert f'href="/apps/{id_}">Try again</a>' in over.text
    again = await show.post(f"{at}/apps/{id_}/{part}", form, cookies=cookies)
    assert "Waiting for Callboard" in show.told(await _request(show, again, cookies))


async def test_an_uninstallation_that_was_refused_can_be_tried_again_where_the_app_is_still_there(
    show: Any,
) -> None:
    for name, is_there in (("restored", True), ("settled", False)):
        show.talkdesk.switches = show.talkdesk.switches.changed({"rejected_uninstall": name})
        account, (ada, *_) = show.account(name)
        id_ = show.installed(account, [ada])
        at, cookies = show.console.at(account), await show.sign_in(account, ada)
        answer = await show.post(f"{at}/apps/{id_}/uninstall", cookies=cookies)
        show.talkdesk.answer(id_, verdict="reject", reason=None)
        over = await show.get(answer.headers["Location"], cookies=cookies)
        assert (f'href="/apps/{id_}?part=uninstall">Try again</a>' in over.text) == is_there


async def test_a_removed_user_loses_the_icon_once_the_app_agrees(show: Any) -> None:
    account, (ada, ben, cleo) = show.account("acme")
    id_ = show.installed(account, [ada, ben])
    at, cookies = show.console.at(account), await show.sign_in(account, ada)
    bens = await show.sign_in(account, ben)
    assert "talkdesk_user_id=" + ben.id in (await show.get(f"{at}/apps", cookies=bens)).text
    answer = await show.post(f"{at}/apps/{id_}/users", {"users": [cleo.id]}, cookies=cookies)
    assert "Waiting" in show.told(await _request(show, answer, cookies))
    show.talkdesk.answer(id_, verdict="approve", reason=None)
    assert "The changes to Callboard are made" in show.told(
        await show.get(answer.headers["Location"], cookies=cookies)
    )
    assert show.talkdesk.installation(id_).users == (ada.id, cleo.id)
    page = await show.get(f"{at}/apps", cookies=bens)
    assert "talkdesk_user_id=" not in page.text
    assert "Ben Novak is not among its users" in show.told(page)
    cleos = await show.sign_in(account, cleo)
    assert "talkdesk_user_id=" + cleo.id in (await show.get(f"{at}/apps", cookies=cleos)).text


async def test_a_plan_can_be_changed_and_saving_nothing_is_refused(show: Any) -> None:
    account, (ada, ben, _) = show.account("acme")
    id_ = show.installed(account, [ada, ben])
    at, cookies = show.console.at(account), await show.sign_in(account, ada)
    same = await show.post(f"{at}/apps/{id_}/users", {"users": [ben.id]}, cookies=cookies)
    assert (same.status_code, "Nothing was changed" in show.told(same)) == (409, True)
    same = await show.post(f"{at}/apps/{id_}/plan", {"plan": "Trial"}, cookies=cookies)
    assert (same.status_code, "is the plan already" in show.told(same)) == (409, True)
    await show.post(f"{at}/apps/{id_}/plan", {"plan": "Standard"}, cookies=cookies)
    show.talkdesk.answer(id_, verdict="approve", reason=None)
    assert show.talkdesk.installation(id_).subscription.plan.name == "Standard"


async def test_the_address_of_a_form_that_was_refused_leads_back_to_its_page(show: Any) -> None:
    account, (ada, *_) = show.account("acme")
    id_ = show.installed(account, [ada])
    at, cookies = show.console.at(account), await show.sign_in(account, ada)
    assert (await show.post(f"{at}/apps/{id_}/uninstall", cookies=cookies)).status_code == 303
    for url, page in (
        (f"{at}/apps/{id_}/users", f"{at}/apps/{id_}?part=users"),
        (f"{at}/apps/{id_}/plan", f"{at}/apps/{id_}?part=plan"),
        (f"{at}/apps/{id_}/uninstall", f"{at}/apps/{id_}?part=uninstall"),
        (f"{show.root}/controls/clock", f"{show.root}/controls"),
        (f"{show.root}/timeline/resend", f"{show.root}/timeline"),
        (f"{show.root}/accounts", f"{show.root}/"),
        (f"{show.root}/accounts/{account.id}/users", f"{show.root}/"),
    ):
        refused = await show.post(url, cookies=cookies)
        assert refused.status_code in {400, 404, 409}, url
        again = await show.get(url, cookies=cookies)
        assert (again.status_code, again.headers["Location"]) == (303, page)
        assert (await show.get(page, cookies=cookies)).status_code == 200


async def test_after_an_uninstall_the_gear_says_that_it_is_not_installed(show: Any) -> None:
    account, (ada, *_) = show.account("acme")
    id_ = show.installed(account, [ada])
    at, cookies = show.console.at(account), await show.sign_in(account, ada)
    answer = await show.post(f"{at}/apps/{id_}/uninstall", {"reason": "too <dear>"}, cookies=cookies)
    assert "Waiting" in show.told(await _request(show, answer, cookies))
    show.talkdesk.answer(id_, verdict="approve", reason=None)
    assert "Callboard is uninstalled" in show.told(
        await show.get(answer.headers["Location"], cookies=cookies)
    )
    gear = show.told(await show.get(f"{at}/apps/{id_}", cookies=cookies))
    assert "Callboard is not installed in acme. It was uninstalled." in gear
    again = show.installed(account, [ada])
    gear = await show.get(f"{at}/apps/{id_}", cookies=cookies)
    assert f'href="/apps/{again}"' in gear.text


async def test_the_private_install_link_asks_for_the_account_and_leads_to_its_dialogue(show: Any) -> None:
    account, (ada, *_) = show.account("acme")
    link = show.console.install_link(show.app)
    page = await show.get(link)
    dialogue = f"{show.console.at(account)}/marketplace/install/{show.app.version.id}"
    assert f'href="{dialogue}"' in page.text
    anybody = await show.get(dialogue)
    assert anybody.headers["Location"] == f"/login?return_to=/marketplace/install/{show.app.version.id}"
    show.installed(account, [ada])
    there = await show.get(dialogue, cookies=await show.sign_in(account, ada))
    assert "is installed in acme already" in show.told(there)


async def test_nobody_signed_in_sees_no_app_and_the_apps_are_shown_to_whoever_signs_in(show: Any) -> None:
    account, (ada, *_) = show.account("acme")
    show.installed(account, [ada])
    at = show.console.at(account)
    nobody = await show.get(f"{at}/apps")
    assert "Nobody is signed in to acme" in show.told(nobody)
    assert "talkdesk_user_id=" not in nobody.text
    other, (stranger, *_) = show.account("other")
    foreign = await show.get(f"{at}/apps", cookies=await show.sign_in(other, stranger))
    assert "Nobody is signed in to acme" in show.told(foreign)


async def test_an_account_does_not_manage_another_one_s_installation(show: Any) -> None:
    account, (ada, *_) = show.account("acme")
    id_ = show.installed(account, [ada])
    other, (stranger, *_) = show.account("other")
    cookies = await show.sign_in(other, stranger)
    at = show.console.at(other)
    assert (await show.get(f"{at}/apps/{id_}", cookies=cookies)).status_code == 404
    assert (await show.post(f"{at}/apps/{id_}/uninstall", cookies=cookies)).status_code == 404
    assert show.talkdesk.installation(id_).state == "completed"


async def test_a_request_that_another_one_replaced_says_so(show: Any) -> None:
    account, (ada, ben, cleo) = show.account("acme")
    id_ = show.installed(account, [ada])
    show.talkdesk.switches = show.talkdesk.switches.changed({"overlap": "replace"})
    at, cookies = show.console.at(account), await show.sign_in(account, ada)
    first = await show.post(f"{at}/apps/{id_}/users", {"users": [ben.id]}, cookies=cookies)
    await show.post(f"{at}/apps/{id_}/users", {"users": [cleo.id]}, cookies=cookies)
    page = show.told(await show.get(first.headers["Location"], cookies=cookies))
    assert "Another request took its place" in page


async def test_a_request_beside_a_waiting_one_is_refused_in_the_dialogue(show: Any) -> None:
    account, (ada, ben, cleo) = show.account("acme")
    id_ = show.installed(account, [ada])
    at, cookies = show.console.at(account), await show.sign_in(account, ada)
    await show.post(f"{at}/apps/{id_}/users", {"users": [ben.id]}, cookies=cookies)
    gear = show.told(await show.get(f"{at}/apps/{id_}", cookies=cookies))
    assert "A request waits for the app’s answer" in gear  # noqa: RUF001 - as it is written there
    second = await show.post(f"{at}/apps/{id_}/users", {"users": [cleo.id]}, cookies=cookies)
    assert (second.status_code, "That cannot be done." in show.told(second)) == (409, True)
