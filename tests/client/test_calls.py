"""Each call: what is sent, and how what comes back is read."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from talkdesk_client import NotFound, State, UnexpectedAnswer, User

BASE = "https://api.talkdesk.example/apps/app-1/installations/installation-1"
BASE_KEYS = "https://api.talkdesk.example/events/signature-keys"


def _answer(body: Any, status: int = 200) -> httpx.Response:
    return httpx.Response(status, json=body)


CALLS = {
    "account": ("GET", "https://api.talkdesk.example/account", None, "account:read", {"id": "a"}, ()),
    "installation": ("GET", BASE, None, "apps:read", {"id": "installation-1"}, ()),
    "users": ("GET", f"{BASE}/users?per_page=100", None, "apps:read", {"total": 0}, ()),
    "subscription": ("GET", f"{BASE}/subscription", None, "apps:read", {"name": "Pro"}, ()),
    "trial": ("GET", f"{BASE}/trial", None, "apps:read", {"state": "active"}, ()),
    "answer approve": (
        "POST",
        f"{BASE}/state",
        {"state": "approve"},
        "apps:write",
        {"state": "x"},
        ("approve",),
    ),
    "answer reject": (
        "POST",
        f"{BASE}/state",
        {"state": "reject", "reason": "no room, sorry"},
        "apps:write",
        {"state": "x"},
        ("reject", "no room, sorry"),
    ),
    "rotate": ("POST", f"{BASE}/credentials/actions/rotate", None, "apps:write", {}, ()),
    "acknowledge": (
        "POST",
        f"{BASE}/credentials/client-1/state",
        {"state": "acknowledged"},
        "apps:write",
        {"state": "acknowledged"},
        (),
    ),
}


@pytest.mark.parametrize(("name", "call"), CALLS.items(), ids=CALLS.keys())
async def test_each_call_asks_for_what_the_reference_says_with_the_scope_it_needs(
    talkdesk: Any, connect: Any, ref: Any, name: str, call: Any
) -> None:
    method, url, body, scope, answered, arguments = call
    talkdesk.answers = [_answer(answered)]
    async with connect() as client:
        await getattr(client, name.partition(" ")[0])(ref, *arguments)
    (request,) = talkdesk.asked
    assert (request.method, str(request.url)) == (method, url)
    assert (json.loads(request.content) if request.content else None) == body
    assert request.headers["Authorization"] == "Bearer token-1"
    assert talkdesk.scopes == [scope]
    assert "application/json" in request.headers["Accept"]
    assert request.headers["User-Agent"].startswith("talkdesk-operator/")


async def test_a_path_in_root_is_a_prefix_of_every_call(talkdesk: Any, connect: Any, ref_with: Any) -> None:
    talkdesk.answers = [_answer({"id": "a"})]
    async with connect() as client:
        await client.account(ref_with(root="https://api.talkdesk.example/v1/"))
    assert str(talkdesk.asked[0].url) == "https://api.talkdesk.example/v1/account"


async def test_ids_with_odd_characters_stay_in_their_place(
    talkdesk: Any, connect: Any, ref_with: Any
) -> None:
    talkdesk.answers = [_answer({"state": "active"})]
    async with connect() as client:
        await client.trial(ref_with(app_id="a/../b", installation_id="i?x#y%2F"))
    assert talkdesk.asked[0].url.raw_path == b"/apps/a%2F..%2Fb/installations/i%3Fx%23y%252F/trial"


async def test_an_installation_is_read_as_documented(
    talkdesk: Any, connect: Any, ref: Any, an_installation: httpx.Response
) -> None:
    talkdesk.answers = [an_installation]
    async with connect() as client:
        installation = await client.installation(ref)
    assert installation.state == State(state="installing", updated_at="2026-01-05T10:00:00Z")
    assert installation.created_by == User(id="user-1", email="ada@example.com", name="Ada")
    assert installation.scopes == ("apps:read", "apps:write")
    assert installation.created_at == datetime(2026, 1, 5, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    "embedded",
    [
        {"_embedded": {"state": {"state": "pending", "reason": "r", "updated_at": "t"}}},
        {
            "_embedded": [
                {"created_by": {"id": "u"}},
                {"state": {"state": "pending", "reason": "r", "updated_at": "t"}},
            ]
        },
        {"_embedded": {"state": {"state": {"state": "pending", "reason": "r"}, "updated_at": "t"}}},
        {"_embedded": {"state": {"state": {"name": "pending"}, "reason": "r", "updated_at": "t"}}},
        {"state": {"state": "pending", "reason": "r", "updated_at": "t", "unknown": [1]}},
    ],
)
async def test_a_state_is_found_in_every_shape(talkdesk: Any, connect: Any, ref: Any, embedded: Any) -> None:
    talkdesk.answers = [_answer({"id": "installation-1"} | embedded)]
    async with connect() as client:
        assert (await client.installation(ref)).state == State(state="pending", reason="r", updated_at="t")


async def test_half_an_emoji_in_a_text_does_not_keep_the_rest_from_being_passed_on(
    talkdesk: Any, connect: Any, ref: Any
) -> None:
    talkdesk.answers = [
        httpx.Response(200, content=rb'{"id":"a","name":"\ud83d\ude00","company_name":"Acme \ud83d"}')
    ]
    async with connect() as client:
        account = await client.account(ref)
    assert (account.name, account.company_name) == ("\N{GRINNING FACE}", "Acme \N{REPLACEMENT CHARACTER}")
    assert account.model_dump_json().encode()


@pytest.mark.parametrize("created_by", [None, "ada", {}, {"email": "ada@example.com"}])
async def test_an_unreadable_creator_does_not_hide_the_installation(
    talkdesk: Any, connect: Any, ref: Any, created_by: Any
) -> None:
    talkdesk.answers = [
        _answer({"id": "installation-1", "created_at": "long ago", "_embedded": {"created_by": created_by}})
    ]
    async with connect() as client:
        installation = await client.installation(ref)
    assert installation.created_by is None
    assert installation.created_at is None


@pytest.mark.parametrize("state", ["completed", {"state": "completed"}, {"state": {"state": "completed"}}])
async def test_the_state_after_an_answer_may_be_a_string_or_an_object(
    talkdesk: Any, connect: Any, ref: Any, state: Any
) -> None:
    talkdesk.answers = [_answer(state if isinstance(state, dict) else {"state": state})]
    async with connect() as client:
        assert (await client.answer(ref, "approve")).state == "completed"


@pytest.mark.parametrize(
    "body", [b"", b"{}", b'{"state":"acknowledged"}', b'{"state":{"state":"acknowledged"}}']
)
async def test_an_acknowledgement_may_be_answered_in_any_shape(
    talkdesk: Any, connect: Any, ref: Any, body: bytes
) -> None:
    talkdesk.answers = [httpx.Response(202, content=body)]
    async with connect() as client:
        assert (await client.acknowledge(ref)).state == "acknowledged"


@pytest.mark.parametrize(("status", "body"), [(202, b""), (200, b"{}"), (204, b""), (202, b"<html>")])
async def test_a_rotation_is_accepted_whatever_the_body(
    talkdesk: Any, connect: Any, ref: Any, status: int, body: bytes
) -> None:
    talkdesk.answers = [httpx.Response(status, content=body)]
    async with connect() as client:
        await client.rotate(ref)


async def test_a_subscription_is_read_with_numbers_as_strings_or_numbers(
    talkdesk: Any, connect: Any, ref: Any
) -> None:
    talkdesk.answers = [
        _answer(
            {"id": 7, "name": "Pro", "price": "12.5", "total_licenses": "10", "min_licenses": 1.0, "new": {}}
        ),
        _answer(
            {
                "name": "Pro",
                "price": 12,
                "total_licenses": 10,
                "max_licenses": "unlimited",
                "min_licenses": None,
            }
        ),
    ]
    async with connect() as client:
        first, second = await client.subscription(ref), await client.subscription(ref)
    assert (first.id, first.price, first.total_licenses, first.min_licenses) == ("7", 12.5, 10, 1)
    assert (second.price, second.total_licenses, second.max_licenses, second.min_licenses) == (
        12.0,
        10,
        None,
        None,
    )


async def test_a_trial_is_read_with_both_shapes_of_time(talkdesk: Any, connect: Any, ref: Any) -> None:
    moment = datetime(2026, 2, 4, 10, tzinfo=UTC)
    talkdesk.answers = [
        _answer({"state": "active", "expires_at": "2026-02-04T10:00:00Z", "started_at": None}),
        _answer({"state": "ended", "expires_at": "2026-02-04T12:00:00.000+02:00", "ended_at": ""}),
    ]
    async with connect() as client:
        first, second = await client.trial(ref), await client.trial(ref)
    assert first.expires_at == second.expires_at == moment
    assert second.ended_at is None


@pytest.mark.parametrize(
    "answer",
    [
        _answer({"code": "1", "message": "no trial"}, 404),
        httpx.Response(204),
        httpx.Response(200, content=b""),
        _answer(None),
        _answer({}),
        _answer({"state": "none"}),
    ],
)
async def test_every_form_of_no_trial_is_none(
    talkdesk: Any, connect: Any, ref: Any, answer: httpx.Response
) -> None:
    talkdesk.answers = [answer]
    async with connect() as client:
        assert await client.trial(ref) is None


async def test_which_answers_mean_no_trial_is_a_setting(talkdesk: Any, connect: Any, ref: Any) -> None:
    async with connect(no_trial_statuses="400,410", no_trial_states="absent") as client:
        talkdesk.answers = [httpx.Response(410)]
        assert await client.trial(ref) is None
        talkdesk.answers = [_answer({"state": "absent"})]
        assert await client.trial(ref) is None
        talkdesk.answers = [httpx.Response(404)]
        with pytest.raises(NotFound):
            await client.trial(ref)


async def test_a_signature_key_is_read_without_authentication(talkdesk: Any, connect: Any) -> None:
    body = {"public_key": "B64", "key_id": "key/1", "created_at": "x", "expires_at": "2026-02-04T10:00:00Z"}
    talkdesk.answers = [_answer(body)]
    async with connect() as client:
        key = await client.signature_key("https://api.talkdesk.example/", "key/1")
    assert (key.public_key, key.expires_at) == ("B64", datetime(2026, 2, 4, 10, tzinfo=UTC))
    (request,) = talkdesk.asked
    assert request.url.raw_path == b"/events/signature-keys/key%2F1"
    assert "Authorization" not in request.headers
    assert talkdesk.token_asked == []


UNEXPECTED = {
    "no JSON": b"<html>",
    "nothing": b"",
    "array": b"[]",
    "null": b"null",
    "string": b'"x"',
    "without what is needed": b'{"unknown":1}',
    "wrong type": b'{"id":{},"key_id":{},"state":[7],"_embedded":7}',
    "deep": b'{"id":' * 50_000,
    "no UTF": b"\xff\xff",
    "endless number": b'{"id":' + b"1" * 5000 + b"}",
}


@pytest.mark.parametrize("body", UNEXPECTED.values(), ids=UNEXPECTED.keys())
@pytest.mark.parametrize("name", ["account", "installation", "users", "answer", "signature_key"])
async def test_a_success_that_is_not_what_was_promised_is_unexpected(
    talkdesk: Any, connect: Any, ref: Any, name: str, body: bytes
) -> None:
    arguments = {"answer": (ref, "approve"), "signature_key": ("https://api.talkdesk.example", "k")}.get(
        name, (ref,)
    )
    talkdesk.answers = [httpx.Response(200, content=body)]
    async with connect() as client:
        with pytest.raises(UnexpectedAnswer, match="was answered 200 with"):
            await getattr(client, name)(*arguments)
    assert len(talkdesk.asked) == 1


async def test_a_record_of_something_else_is_unexpected(talkdesk: Any, connect: Any, ref: Any) -> None:
    talkdesk.answers = [_answer({"id": "installation-2"}), _answer({"key_id": "other", "public_key": "B64"})]
    async with connect() as client:
        with pytest.raises(UnexpectedAnswer, match="another installation"):
            await client.installation(ref)
        with pytest.raises(UnexpectedAnswer, match="another key"):
            await client.signature_key("https://api.talkdesk.example", "key-1")


async def test_a_reason_may_hold_any_character(talkdesk: Any, connect: Any, ref: Any) -> None:
    talkdesk.answers = [_answer({"state": "rejected"})]
    async with connect() as client:
        await client.answer(ref, "reject", "a\ud800b\n„ü“")
    assert json.loads(talkdesk.asked[0].content)["reason"] == "a?b\n„ü“"


async def test_nothing_one_customer_is_answered_is_sent_for_another(
    talkdesk: Any, connect: Any, ref_with: Any
) -> None:
    talkdesk.answers = [httpx.Response(200, json={"id": "a"}, headers={"Set-Cookie": "session=one; Path=/"})]
    async with connect() as client:
        await client.account(ref_with(installation_id="one"))
        await client.account(ref_with(installation_id="two"))
    assert [request.headers.get("Cookie") for request in talkdesk.asked] == [None, None]
