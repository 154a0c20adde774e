"""The client against the Talkdesk stand-in: over its proxy and TLS, each call, each switch either way."""

from __future__ import annotations

import json
import queue
import threading
from contextlib import asynccontextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from talkdesk_client import (
    ClientOptions,
    Conflict,
    Credentials,
    Forbidden,
    Hosts,
    InstallationRef,
    NotFound,
    RateLimited,
    ServerError,
    TalkdeskClient,
    TokenRefused,
    TransportError,
    Unauthorized,
    UnexpectedAnswer,
    http_client,
    token_url,
)
from talkdesk_sandbox.talkdesk import StandIn

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

pytestmark = pytest.mark.processes


class Receiver:
    """The partner's webhook: accepts every event and hands it to the test."""

    def __init__(self) -> None:
        events: queue.Queue[dict[str, Any]] = queue.Queue()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(204)
                self.end_headers()
                events.put(json.loads(body))

            def log_message(self, *_: object) -> None:
                pass

        self.events = events
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/"

    def next(self, kind: str) -> dict[str, Any]:
        """The next event of type ``kind``; others before it are passed over."""
        while True:
            event = self.events.get(timeout=20)
            if event["type"] == kind:
                return event


class Market:
    """One stand-in with an account and an app; installs the app and reads what Talkdesk then says."""

    def __init__(self, stand_in: StandIn, receiver: Receiver) -> None:
        self.stand_in, self.receiver = stand_in, receiver
        self.defaults = stand_in.get("/control/switches")
        self.app = stand_in.post("/control/apps", {"name": "demo", "events_url": receiver.url})
        self.count = 0

    def switch(self, **switches: Any) -> None:
        self.stand_in.patch("/control/switches", switches)

    def fault(self, **fault: Any) -> None:
        self.stand_in.post("/control/faults", fault)

    def install(self, *, users: int = 3, plan: str = "Standard", region: str = "eu") -> InstallationRef:
        """A new account, ``users`` of its users, and the app installed for them."""
        self.count += 1
        account = self.stand_in.post("/control/accounts", {"name": f"acme{self.count}", "region": region})
        made = [
            self.stand_in.post(
                f"/control/accounts/{account['id']}/users",
                {"email": f"u{number}@example.com", "name": f"U {number}"},
            )["id"]
            for number in range(users + 1)
        ]
        self.spare = made.pop()
        self.stand_in.post(
            "/control/install",
            {
                "app_id": self.app["id"],
                "account_id": account["id"],
                "plan": plan,
                "users": made,
                "created_by": made[0],
            },
        )
        self.users = made
        return self.reference(self.receiver.next("app.installed"), region=region)

    def reference(self, event: dict[str, Any], *, region: str) -> InstallationRef:
        """What the operator makes of an event that carries credentials."""
        links = {name: link["href"] for name, link in event["_links"].items()}
        return InstallationRef(
            app_id=event["app_id"],
            account_id=event["data"]["account_id"],
            installation_id=event["data"]["installation_id"],
            root=links["root"],
            token_url=token_url(links),
            hosts=Hosts(**self.stand_in.regions[region]),
            credentials=Credentials(**event["data"]),
        )

    def control(self, ref: InstallationRef, action: str, **body: Any) -> None:
        self.stand_in.post(f"/control/installations/{ref.installation_id}/{action}", body)

    def seen(self, ref: InstallationRef, kind: str = "api") -> list[dict[str, Any]]:
        """The ledger's entries of ``kind`` about an installation."""
        return [
            entry
            for entry in self.stand_in.ledger()
            if entry["kind"] == kind and entry.get("installation_id") == ref.installation_id
        ]

    @asynccontextmanager
    async def client(self, **options: Any) -> AsyncIterator[TalkdeskClient]:
        settings = ClientOptions(**({"retry_first": 0.01, "retry_longest": 0.02} | options))
        async with (
            http_client(proxy=self.stand_in.proxy, ca_file=self.stand_in.ca_file) as http,
            TalkdeskClient(http, settings) as client,
        ):
            yield client


@pytest.fixture(scope="module")
def _running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Market]:
    receiver = Receiver()
    thread = threading.Thread(
        target=receiver.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
    )
    thread.start()
    try:
        with StandIn.start(tmp_path_factory.mktemp("talkdesk") / "stand-in") as stand_in:
            yield Market(stand_in, receiver)
    finally:
        receiver.server.shutdown()
        receiver.server.server_close()
        thread.join(timeout=5)


@pytest.fixture
def market(_running: Market) -> Iterator[Market]:
    """The stand-in with every switch at its default before and after."""
    yield _running
    _running.switch(**_running.defaults)
    _running.stand_in._json("DELETE", "/control/faults")


async def test_the_life_of_an_installation_as_the_client_sees_it(market: Market) -> None:
    ref = market.install(users=3)
    async with market.client() as client:
        before = await client.installation(ref)
        assert before.state is not None
        assert before.state.state == "installing"
        assert before.state.updated_at
        assert before.created_by is not None
        assert (before.created_by.id, before.created_by.email) == (market.users[0], "u0@example.com")
        assert (before.app_id, before.account_id) == (ref.app_id, ref.account_id)
        account = await client.account(ref)
        assert (account.id, account.name) == (ref.account_id, f"acme{market.count}")
        assert {user.id for user in await client.users(ref)} == set(market.users)
        subscription = await client.subscription(ref)
        assert (subscription.name, subscription.type, subscription.total_licenses) == ("Standard", "paid", 3)
        assert await client.trial(ref) is None
        assert (await client.answer(ref, "approve")).state == "completed"
        after = await client.installation(ref)
        assert after.state is not None
        assert after.state.state == "completed"
        assert after.state.updated_at != before.state.updated_at
    scopes = [entry["detail"]["scope"] for entry in market.seen(ref, "token")]
    assert scopes == ["apps:read", "account:read", "apps:write"]


async def test_an_update_is_rejected_with_a_reason_talkdesk_receives(market: Market) -> None:
    ref = market.install()
    async with market.client() as client:
        await client.answer(ref, "approve")
        market.control(ref, "update", adding=[market.spare], removing=[])
        await client.answer(ref, "reject", "no room, sorry")
    sent = [entry["detail"]["sent"] for entry in market.seen(ref) if entry["method"] == "POST"]
    assert sent[-1] == {"state": "reject", "reason": "no room, sorry"}


async def test_a_trial_runs_and_ends(market: Market) -> None:
    ref = market.install(plan="Trial")
    async with market.client() as client:
        await client.answer(ref, "approve")
        market.receiver.next("app.trial_started")
        trial = await client.trial(ref)
        assert trial is not None
        assert trial.expires_at is not None
        assert trial.started_at is not None
        assert 29 <= (trial.expires_at - trial.started_at).days <= 31
        market.control(ref, "trial/end")
        ended = await client.trial(ref)
    assert ended is not None
    assert ended.ended_reason == "trial_expired"
    assert ended.state != trial.state


@pytest.mark.parametrize("region", ["us", "eu", "ca"])
async def test_every_region_is_reached_by_its_own_hosts(market: Market, region: str) -> None:
    ref = market.install(region=region)
    assert f".{region}." in ref.root
    async with market.client() as client:
        assert (await client.installation(ref)).id == ref.installation_id


@pytest.mark.parametrize("algorithm", ["ES256", "ES384", "ES512", "PS256", "PS384", "PS512"])
@pytest.mark.parametrize("form", ["base64", "wrapped", "pem"])
async def test_keys_of_every_algorithm_and_form_are_accepted(
    market: Market, algorithm: str, form: str
) -> None:
    market.switch(key_algorithm=algorithm, credential_key=form)
    ref = market.install(users=1)
    assert ref.credentials.key_algorithm == algorithm
    async with market.client() as client:
        assert (await client.installation(ref)).id == ref.installation_id


@pytest.mark.parametrize("name", ["tokens", "token", "token_url", "absent"])
async def test_the_token_link_is_found_whatever_its_name(market: Market, name: str) -> None:
    market.switch(token_link=name)
    ref = market.install(users=1)
    assert ref.token_url.endswith("/oauth/token")
    async with market.client() as client:
        await client.installation(ref)


@pytest.mark.parametrize(
    ("accepted", "sent", "works"),
    [
        ("full-url", "token_url", True),
        ("host", "origin", True),
        ("either", "token_url", True),
        ("either", "origin", True),
        ("full-url", "origin", False),
        ("host", "token_url", False),
    ],
)
async def test_the_audience_is_a_setting_that_must_fit(
    market: Market, accepted: str, sent: str, works: bool
) -> None:
    market.switch(audience=accepted)
    ref = market.install(users=1)
    async with market.client(assertion_audience=sent) as client:
        if works:
            await client.installation(ref)
        else:
            with pytest.raises(TokenRefused) as caught:
                await client.installation(ref)
            assert caught.value.code == "invalid_client"


async def test_basic_works_where_talkdesk_allows_it(market: Market) -> None:
    ref = market.install(users=1)
    async with market.client(auth_method="client_secret_basic") as client:
        await client.installation(ref)
    market.switch(basic="refused")
    async with market.client(auth_method="client_secret_basic") as client:
        with pytest.raises(TokenRefused):
            await client.installation(ref)


@pytest.mark.parametrize("form", ["jwt", "opaque"])
async def test_the_form_of_a_token_does_not_matter(market: Market, form: str) -> None:
    market.switch(token_form=form)
    ref = market.install(users=1)
    async with market.client() as client:
        await client.installation(ref)


@pytest.mark.parametrize(("server", "asked"), [(1, 0), (2, 0), (20, 100), (20, 2)])
async def test_all_pages_are_read_whatever_their_size(market: Market, server: int, asked: int) -> None:
    market.switch(page_size=server)
    ref = market.install(users=5)
    async with market.client(page_size=asked) as client:
        assert sorted(user.id for user in await client.users(ref)) == sorted(market.users)
    pages = sum("/users" in entry["url"] for entry in market.seen(ref))
    assert pages == -(-5 // (asked or server))


@pytest.mark.parametrize("shown", ["new", "old"])
async def test_users_are_those_talkdesk_lists_during_an_update(market: Market, shown: str) -> None:
    market.switch(update_shows=shown)
    ref = market.install(users=3)
    old, new = set(market.users), {*market.users[:2], market.spare}
    async with market.client() as client:
        await client.answer(ref, "approve")
        market.control(ref, "update", adding=[market.spare], removing=[market.users[2]])
        assert {user.id for user in await client.users(ref)} == (new if shown == "new" else old)
        await client.answer(ref, "approve")
        assert {user.id for user in await client.users(ref)} == new


@pytest.mark.parametrize("no_trial", ["not-found", "empty"])
async def test_no_trial_is_none_in_both_forms(market: Market, no_trial: str) -> None:
    market.switch(no_trial=no_trial)
    ref = market.install(users=1)
    async with market.client() as client:
        assert await client.trial(ref) is None


@pytest.mark.parametrize(("answer", "state"), [("resource", "completed"), ("answer", "approve")])
async def test_the_state_after_an_answer_is_what_talkdesk_says(
    market: Market, answer: str, state: str
) -> None:
    market.switch(state_answer=answer)
    ref = market.install(users=1)
    async with market.client() as client:
        assert (await client.answer(ref, "approve")).state == state


@pytest.mark.parametrize("repeated", [200, 409])
@pytest.mark.parametrize("contrary", [409, 422])
async def test_a_late_or_contrary_answer_is_a_conflict_and_a_repeated_one_may_be(
    market: Market, repeated: int, contrary: int
) -> None:
    market.switch(repeated_answer=repeated, contrary_answer=contrary)
    ref = market.install(users=1)
    async with market.client() as client:
        await client.answer(ref, "approve")
        if repeated == 200:
            assert (await client.answer(ref, "approve")).state == "completed"
        else:
            with pytest.raises(Conflict):
                await client.answer(ref, "approve")
        with pytest.raises(Conflict) as caught:
            await client.answer(ref, "reject")
    assert caught.value.status == contrary
    assert not caught.value.outcome_unknown


@pytest.mark.parametrize("after", ["uninstalled", "revoked", "gone"])
async def test_after_an_uninstall_nothing_opens_any_more(market: Market, after: str) -> None:
    market.switch(after_uninstall=after)
    ref = market.install(users=1)
    async with market.client() as client:
        await client.answer(ref, "approve")
        market.control(ref, "uninstall")
        await client.answer(ref, "approve")
        with pytest.raises((TokenRefused, NotFound, Unauthorized)):
            await client.installation(ref)


@pytest.mark.parametrize("rotate_answer", [200, 202])
@pytest.mark.parametrize("ack_state", ["string", "object"])
async def test_new_credentials_are_asked_for_and_acknowledged_with_themselves(
    market: Market, rotate_answer: int, ack_state: str
) -> None:
    market.switch(rotate_answer=rotate_answer, ack_state=ack_state)
    ref = market.install(users=1)
    async with market.client() as client:
        await client.answer(ref, "approve")
        await client.rotate(ref)
        event = market.receiver.next("app.credentials_rotated")
        new = replace(ref, credentials=Credentials(**event["data"]))
        assert new.credentials.client_id != ref.credentials.client_id
        await client.installation(ref)
        assert (await client.acknowledge(new)).state == "acknowledged"
        with pytest.raises((TokenRefused, Unauthorized)):
            await client.installation(ref)
        assert (await client.installation(new)).id == ref.installation_id


@pytest.mark.parametrize("shape", ["error", "common"])
async def test_the_refusals_of_the_installation_have_either_shape(market: Market, shape: str) -> None:
    market.switch(installation_errors=shape)
    own, foreign = market.install(users=1), market.install(users=1)
    async with market.client() as client:
        with pytest.raises(Forbidden, match="another installation"):
            await client.installation(replace(foreign, credentials=own.credentials, token_url=own.token_url))
        with pytest.raises(NotFound, match="no such installation"):
            await client.users(replace(own, installation_id="0" * 32))


async def test_each_of_the_documented_shapes_is_told_apart_by_its_status(market: Market) -> None:
    ref = market.install(users=1)
    wrong = replace(ref, app_id="f" * 32)
    async with market.client() as client:
        for call in (client.subscription, client.users, client.installation):
            with pytest.raises(NotFound):
                await call(wrong)
        with pytest.raises(NotFound, match="no such installation"):
            await client.answer(wrong, "approve")
        with pytest.raises(Conflict) as caught:  # these are the first credentials, not rotated ones
            await client.acknowledge(ref)
    assert caught.value.code


async def test_a_token_for_the_wrong_scope_opens_nothing(market: Market) -> None:
    ref = market.install(users=1)
    async with market.client(apps_write_scope="apps:read", account_read_scope="apps:read") as client:
        with pytest.raises(Forbidden, match="apps:write"):
            await client.answer(ref, "approve")
        with pytest.raises(Forbidden, match="account:read"):
            await client.account(ref)
    async with market.client(apps_read_scope="recordings:read") as client:
        with pytest.raises(TokenRefused) as caught:
            await client.installation(ref)
    assert caught.value.code == "invalid_scope"


async def test_without_a_named_scope_one_token_opens_everything(market: Market) -> None:
    ref = market.install(users=1)
    async with market.client(apps_read_scope="", apps_write_scope="", account_read_scope="") as client:
        await client.account(ref)
        await client.answer(ref, "approve")
        await client.installation(ref)
    assert len(market.seen(ref, "token")) == 1


async def test_a_scope_that_has_not_spread_yet_is_refused_and_later_granted(market: Market) -> None:
    market.switch(scope_delay_seconds=120)
    ref = market.install(users=1)
    async with market.client() as client:
        with pytest.raises(TokenRefused) as caught:
            await client.installation(ref)
        assert caught.value.status == 401
        market.stand_in.post("/control/clock", {"advance_seconds": 121})
        assert (await client.installation(ref)).id == ref.installation_id


async def test_an_expired_token_is_renewed_unseen(market: Market) -> None:
    ref = market.install(users=1)
    async with market.client() as client:
        await client.installation(ref)
        await client.installation(ref)
        assert len(market.seen(ref, "token")) == 1
        market.stand_in.post("/control/clock", {"advance_seconds": 601})
        await client.answer(ref, "approve")
        await client.installation(ref)
    assert [entry["detail"]["scope"] for entry in market.seen(ref, "token")] == [
        "apps:read",
        "apps:write",
        "apps:read",
    ]


async def test_a_busy_or_broken_talkdesk_is_asked_again_for_what_is_read(market: Market) -> None:
    ref = market.install(users=1)
    path = f".*/installations/{ref.installation_id}"
    async with market.client() as client:
        await client.trial(ref)
        for fault in ({"status": 503}, {"status": 429, "headers": {"Retry-After": "0"}}, {"cut": True}):
            market.fault(path=path, times=2, **fault)
            assert (await client.installation(ref)).id == ref.installation_id
        market.fault(path=path, times=4, status=502)
        with pytest.raises(ServerError):
            await client.installation(ref)
        market.fault(path=path, status=429, headers={"Retry-After": "3600"})
        with pytest.raises(RateLimited) as caught:
            await client.installation(ref)
        assert caught.value.retry_after == 3600
        market.fault(path=path, status=200, body=["odd"])
        with pytest.raises(UnexpectedAnswer):
            await client.installation(ref)


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_change_whose_answer_was_lost_is_found_out_by_reading(market: Market, when: str) -> None:
    ref = market.install(users=1)
    async with market.client() as client:
        market.fault(path=".*/state", method="POST", when=when, cut=True)
        with pytest.raises(TransportError) as caught:
            await client.answer(ref, "approve")
        assert caught.value.outcome_unknown
        found = await client.installation(ref)
    assert found.state is not None
    assert found.state.state == ("installing" if when == "before" else "completed")
    state = f"/installations/{ref.installation_id}/state"
    assert sum((entry["url"] or "").endswith(state) for entry in market.stand_in.ledger()) == 1


@pytest.mark.parametrize("encoding", ["spki", "point", "pem"])
@pytest.mark.parametrize("expiry", ["present", "absent"])
async def test_a_signature_key_is_had_from_the_gateway_without_a_token(
    market: Market, encoding: str, expiry: str
) -> None:
    market.switch(key_encoding=encoding, key_expiry=expiry)
    made = market.stand_in.post("/control/signing-keys", {})
    gateway = f"https://{market.stand_in.regions['us']['api']}"
    async with market.client() as client:
        key = await client.signature_key(gateway, made["id"])
        assert key.key_id == made["id"]
        assert (key.expires_at is not None) is (expiry == "present")
        with pytest.raises(NotFound):
            await client.signature_key(gateway, "unknown")
