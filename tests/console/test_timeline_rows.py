"""What the timeline's rows tell of real traffic: who said what, how it ended, how long it took; no secret."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from showing.rows import Shown, rows_of

#: As the app registered it.
CALLBACK = "https://app.example/callback"
CANARY = "canary-3e9d77"
#: A span of time, as the rows have it.
TOOK = r"\d+(\.\d+)? m?s"


async def timeline(show: Any, query: str = "") -> list[Shown]:
    return rows_of((await show.get(f"{show.root}/timeline{query}")).text)


async def an_install(show: Any, name: str = "acme") -> str:
    """That waits for its answer; the event has arrived."""
    account, (ada, ben, _) = show.account(name)
    id_, _ = show.talkdesk.install(
        app_id=show.app.id, account_id=account.id, plan=None, users=[ada.id, ben.id], created_by=ada.id
    )
    await show.settle()
    return str(id_)


async def test_a_delivery_is_told_with_its_address_its_time_and_both_bodies(show: Any) -> None:
    id_ = await an_install(show)
    (row,) = await timeline(show, f"?installation={id_}&kind=delivery")
    sent = json.loads(show.deliveries[0][1])
    assert (row.title, row.subject) == ("Talkdesk sends app.installed", "acme")
    assert re.fullmatch(rf"202 {TOOK}", row.result)
    assert re.fullmatch(r"\d\d:\d\d:\d\d\.\d{3}", row.at)
    assert row.facts["Request"] == f"POST {show.app.events_url}"
    assert (row.facts["Event"], row.facts["Installation"]) == (sent["id"], id_)
    hidden = {"client_secret": "***", "private_key": "***"}
    assert row.blocks["Body sent"] == sent | {"data": sent["data"] | hidden}
    assert row.blocks["Answer received"] == {"note": "taken"}
    assert row.blocks["Details"]["attempt"] == 1


async def test_a_delivery_that_fails_says_why(show: Any) -> None:
    show.status = 503
    id_ = await an_install(show)
    (row,) = await timeline(show, f"?installation={id_}&kind=delivery")
    assert re.fullmatch(rf"503 {TOOK}", row.result)
    assert row.blocks["Details"]["error"] == "status 503"


async def test_a_token_request_is_told_with_its_form_and_its_answer(show: Any) -> None:
    id_ = await an_install(show)
    partner = show.partner(id_)
    answer = (await partner.ask()).json()
    refused = await partner.ask(client_assertion="nonsense")
    assert refused.status_code == 401
    # Who was refused is not known: only the first one belongs to the installation.
    (mine,) = await timeline(show, f"?installation={id_}&kind=api")
    first, second = await timeline(show, "?kind=api")
    assert first == mine
    for row, status in ((first, 200), (second, 401)):
        assert row.title == "Token asked for (client_credentials)"
        assert row.facts["Request"] == f"POST {partner.token_url}"
        assert re.fullmatch(rf"{status} {TOOK}", row.result)
        assert row.blocks["Request body"] == {
            "grant_type": "client_credentials",
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": "***",
        }
        assert row.blocks["Details"]["authentication"] == "private_key_jwt"
    assert first.blocks["Answer"] == answer | {"access_token": "***"}
    assert second.blocks["Answer"] == refused.json()


async def test_every_call_of_the_api_is_told_with_method_path_status_time_and_body(show: Any) -> None:
    id_ = await an_install(show)
    partner = show.partner(id_)
    token = await partner.token()
    approve = {"state": "approve", "reason": "It is ready."}
    calls: list[tuple[str, Any]] = [
        ("", None),
        ("/users", None),
        ("/subscription", None),
        ("/trial", None),
        ("/state", approve),
        ("/credentials/actions/rotate", {}),
    ]
    answers = [await partner.call(path, token=token, body=body) for path, body in calls]
    assert [one.status_code for one in answers] == [200, 200, 200, 404, 200, 202]
    await show.settle()
    new = show.partner(id_)
    path = f"/credentials/{new.credentials.client_id}/state"
    acknowledged = {"state": "acknowledged"}
    answers.append(await new.call(path, token=await new.token(), body=acknowledged))
    calls.append((path, acknowledged))
    rows = [row for row in await timeline(show, f"?installation={id_}&kind=api") if "Token" not in row.title]
    for row, (path, body), answer in zip(rows, calls, answers, strict=True):
        method = "GET" if body is None else "POST"
        assert row.title.startswith(f"{method} /apps/{show.app.id[:4]}…/installations/{id_[:4]}…"), row.title
        assert row.facts["Request"] == f"{method} {partner.url}{path}"
        assert row.subject == "acme"
        assert re.fullmatch(rf"{answer.status_code} {TOOK}", row.result)
        assert row.blocks.get("Request body") == (body or None)
        assert row.blocks["Answer"] == answer.json()
        assert row.blocks["Details"]["client_id"]


async def test_calls_of_nobody_are_told_too(show: Any) -> None:
    partner = show.partner(await an_install(show))
    refused = await partner.call("/users", token="of nobody")
    key = await partner.http.get(f"{partner.root}/events/signature-keys/{'0' * 32}")
    assert (refused.status_code, key.status_code) == (401, 404)
    call, fetched = await timeline(show, "?kind=api")
    assert re.fullmatch(rf"401 {TOOK}", call.result)
    assert call.blocks["Answer"] == refused.json()
    assert (fetched.title, fetched.blocks["Answer"]) == ("Signing key fetched", key.json())


async def test_what_a_person_did_in_the_console_is_told_with_what_was_filled_in(show: Any) -> None:
    acme, (ada, ben, cleo) = show.account("acme")
    id_, cookies = show.installed(acme, [ada]), await show.sign_in(acme, ada)
    await show.press(f"{show.root}/controls", "Too many (429)", region="eu")
    await show.press(f"{show.root}/controls", "Clear all faults")
    at = show.console.at(acme)
    await show.post(f"{at}/apps/{id_}/users", {"users": [ben.id, cleo.id]}, cookies=cookies)
    refused = await show.post(f"{show.root}/controls/clock", {"seconds": "60"}, origin="http://evil.example")
    assert refused.status_code == 403
    chosen, cleared, users, foreign = await timeline(show, "?kind=control")
    assert chosen.title == "POST /controls/api-faults: too-many"
    assert chosen.blocks == {"Request body": {"fault": "too-many", "region": "eu"}}
    assert (cleared.title, cleared.blocks) == ("POST /controls/faults/clear", {})
    assert users.blocks == {"Request body": {"users": [ben.id, cleo.id]}}
    # It is among what is told of its installation, as what Talkdesk's staff does is.
    assert (users.subject, users.facts["Installation"]) == ("acme", id_)
    await show.press(f"{show.root}/controls", "Rotate its credentials", installation=id_)
    told = await timeline(show, f"?kind=control&installation={id_}")
    assert [one.title.rpartition("/")[2] for one in told] == ["users", "installations: rotate"]
    assert (foreign.title, foreign.blocks) == ("POST /controls/clock", {})
    assert re.fullmatch(rf"403 {TOOK}", foreign.result)


async def test_a_filter_that_finds_nothing_leads_back_to_everything(show: Any) -> None:
    assert "Install an app" in show.told(await show.get(f"{show.root}/timeline"))
    empty = await show.get(f"{show.root}/timeline?kind=api")
    assert "Nothing of that yet" in show.told(empty)
    assert '<a href="/timeline">Show everything</a>' in empty.text


@dataclass
class Planted:
    """Every secret that crossed a wire, by what it is; ``browser`` are the cookies of who is signed in."""

    secrets: dict[str, str] = field(default_factory=dict)
    browser: dict[str, str] = field(default_factory=dict)

    def keep(self, what: str, secret: str) -> None:
        """A JWT leaks by its claims or its signature alone, too."""
        self.secrets[what] = secret
        if secret.startswith("eyJ"):
            _, claims, *signature = secret.split(".")
            self.secrets |= {f"{what}, claims": claims}
            self.secrets |= {f"{what}, signature": one for one in signature if one}


async def _sign_on(show: Any, partner: Any, at: str, planted: Planted) -> None:
    """A user signs on to the app, whose server redeems the code and refreshes the token."""
    query = {
        "client_id": partner.credentials.client_id,
        "redirect_uri": CALLBACK,
        "response_type": "code",
        "scope": "openid refresh_token",
        "state": f"state-{CANARY}",
        "nonce": f"nonce-{CANARY}",
    }
    sent_back = await show.get(f"{at}/oauth/authorize?{urlencode(query)}", cookies=planted.browser)
    (code,) = parse_qs(urlsplit(sent_back.headers["Location"]).query)["code"]
    redeemed = (await partner.ask(grant_type="authorization_code", code=code, redirect_uri=CALLBACK)).json()
    refreshed = await partner.ask(grant_type="refresh_token", refresh_token=redeemed["refresh_token"])
    planted.keep("code", code)
    for name in ("access_token", "refresh_token", "id_token", "sid"):
        planted.keep(f"user's {name}", redeemed[name])
    planted.keep("refreshed token", refreshed.json()["access_token"])
    replayed = await partner.ask(grant_type="authorization_code", code=code, redirect_uri=CALLBACK)
    assert replayed.status_code == 400


async def _careless(show: Any, partner: Any, id_: str, token: str) -> None:
    """Secrets where nobody expects them: in reasons, queries, answers, headers, and the wrong fields."""
    headers = {"Authorization": f"Bearer {CANARY}-bearer", "Cookie": f"a={CANARY}-cookie"}
    await partner.http.get(f"{partner.url}/users?access_token={CANARY}-query", headers=headers)
    await partner.http.post(partner.token_url, data={"grant_type": f"{CANARY}-grant", "code": CANARY})
    show.said = {
        "note": f"I used Bearer {CANARY}-note",
        "headers": {"Authorization": f"Basic {CANARY}Note", "Set-Cookie": f"a={CANARY}"},
        "passwords": [f"{CANARY}-listed"],
        "code": CANARY,
    }
    reason = f"failed with -----BEGIN EC PRIVATE KEY-----\n{CANARY}\n-----END EC PRIVATE KEY----- in hand"
    show.talkdesk.update(id_, adding=[], removing=[], plan="Standard")
    await show.settle()
    sent = {"state": "reject", "reason": reason, "client_secret": CANARY}
    assert (await partner.call("/state", token=token, body=sent)).status_code == 200


async def _planted(show: Any) -> Planted:
    """An installation's life, with everything secret that is said in it."""
    planted = Planted()
    account, (ada, *_) = show.account("acme")
    id_ = show.installed(account, [ada])
    planted.browser = await show.sign_in(account, ada)
    planted.keep("session", planted.browser["talkdesk_session"])
    await show.settle()
    partner = show.partner(id_)
    assertion, basic = partner.assertion(), (partner.credentials.client_id, "secret")
    signed = await partner.ask(client_assertion=assertion)
    assert (await partner.ask(client_assertion=assertion)).status_code == 401  # it is good once
    planted.keep("assertion", assertion)
    planted.keep("access token", signed.json()["access_token"])
    show.talkdesk.switches = show.talkdesk.switches.changed({"token_form": "opaque"})
    secret = partner.credentials.client_secret.get_secret_value()
    basic = (partner.credentials.client_id, secret)
    opaque = await partner.http.post(partner.token_url, data={"grant_type": "client_credentials"}, auth=basic)
    planted.keep("opaque token", opaque.json()["access_token"])
    planted.keep("Basic", base64.b64encode(":".join(basic).encode()).decode())
    await _sign_on(show, partner, show.console.at(account), planted)
    token = await partner.token()
    await _careless(show, partner, id_, token)
    planted.keep("last token", token)
    show.talkdesk.rotate(id_, compromise=False)
    await show.settle()
    for _, body in show.deliveries:
        data = json.loads(body)["data"]
        for name in ("client_secret", "private_key"):
            if name in data:
                planted.keep(f"{name} of {data['client_id']}", data[name])
    return planted


async def test_no_secret_that_crossed_a_wire_is_in_any_page(show: Any) -> None:
    planted = await _planted(show)
    planted.keep("canary", CANARY)
    assert len(planted.secrets) >= 20
    (id_,) = show.talkdesk.installations
    (account,) = show.talkdesk.accounts.values()
    at = show.console.at(account)
    lanes = ("", "api", "delivery", "sign-on", "transition", "control", "cluster")
    pages = [f"{show.root}/timeline?kind={lane}" for lane in lanes]
    pages += [f"{show.root}{path}" for path in ("/", "/controls", "/kubernetes", "/mailbox")]
    pages += [f"{at}{path}" for path in ("/apps", f"/apps/{id_}", "/marketplace", "/login?change=1")]
    pages += [f"{at}/apps/{id_}/requests/{event}" for event in show.talkdesk.deliveries.events]
    told = {url: await show.get(url, cookies=planted.browser) for url in pages}
    for url, page in told.items():
        found = [what for what, secret in planted.secrets.items() if secret in page.text]
        assert found == [], url
    rows = rows_of(told[pages[0]].text)
    assert {row.lane for row in rows} == {"api", "delivery", "sign-on", "transition"}
    assert any("failed with *** in hand" in str(row.blocks) for row in rows)
    assert sum(str(row.blocks).count("***") for row in rows) >= 15
