"""What users see of the demo, and who is a user."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import re
from typing import Any

import pytest


async def test_a_user_is_greeted_by_name_and_sees_account_and_sample_data_at_once(place: Any) -> None:
    async with place.demo() as (url, http, _), http.get(url, headers=place.token("u1")) as answer:
        text = await answer.text()
        assert answer.status == 200
    assert "Hello, Ada" in text
    assert "Callboard shows how the contact centre of" in text  # what it is for
    assert "Start with" in text  # and how to begin
    for shown in ("Ada Lovelace", "ada@acme.example", "admin", "Acme &amp; &lt;Sons&gt;", "acme",
                  "Europe/Lisbon", "eu", "Free trial", "2026-12-29"):  # fmt: skip
        assert shown in text, shown
    assert text.count('class="calls"></rect>') == 10
    assert "Sample data" in text
    for name in ("terms", "support", "upgrade"):
        assert f'href="https://www.demo.localhost/{name}"' in text
    assert '<form method="post" action="/_td/sign-out">' in text


async def test_a_trial_that_has_ended_is_not_mentioned_any_more(place: Any) -> None:
    record = {**place.record, "plan": {"name": "Professional"}}
    place.write({**record, "trial": {**record["trial"], "endedAt": "2026-12-01T10:00:00Z"}})
    async with place.demo() as (url, http, _), http.get(url, headers=place.token("u1")) as answer:
        text = await answer.text()
    assert "Professional" in text
    assert "2026-12-29" not in text


async def test_the_page_takes_nothing_from_elsewhere_and_has_one_stylesheet(place: Any) -> None:
    async with place.demo() as (url, http, _):
        for path in ("/", "/calls", "/about"):
            async with http.get(f"{url}{path}", headers=place.token("u1")) as answer:
                text = await answer.text()
                assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
            assert re.findall(r'(?:src|href)="(https?:)?//(?!www\.demo\.localhost)', text) == []
            assert len(re.findall(r'rel="stylesheet"', text)) == 1
            for local in re.findall(r'(?:src|href)="(/static/[^"]+)"', text):
                async with http.get(f"{url}{local}") as answer:
                    assert answer.status == 200


async def test_the_tour_opens_on_a_users_first_visit_alone_and_on_demand(place: Any) -> None:
    async def tours(url: str, http: Any, path: str, user: str) -> bool:
        async with http.get(f"{url}{path}", headers=place.token(user)) as answer:
            return '<dialog id="tour"' in await answer.text()

    async with place.demo() as (url, http, _):
        assert await tours(url, http, "/", "u1")
        assert not await tours(url, http, "/", "u1")
        assert await tours(url, http, "/?tour=1", "u1")
        assert await tours(url, http, "/", "u2")
    async with place.demo() as (url, http, _):  # another pod: a restart, or a reinstallation
        assert not await tours(url, http, "/", "u1")
        assert not await tours(url, http, "/", "u2")
        assert await tours(url, http, "/", "u3")


@pytest.mark.parametrize(
    "path", ["/", "/calls", "/whoami", "/clock", "/feed", "/download", "/strict", "/bare"]
)
async def test_nobody_gets_in_without_a_token_for_this_installation(place: Any, path: str) -> None:
    async with place.demo() as (url, http, _):
        for headers in ({}, {"x-td-user": "u1"}, place.token("u1", aud="inst-2"), {"x-td-identity": "x"}):
            async with http.get(f"{url}{path}", headers=headers) as answer:
                assert answer.status == 401
                assert "open Callboard in Talkdesk" in await answer.text()


async def test_a_reinstallation_has_another_id_and_the_old_ones_tokens_end(place: Any) -> None:
    async with place.demo() as (url, http, _):
        record = json.loads((place.folder / "account.json").read_text())
        place.write(record | {"installation": {"id": "inst-2"}})
        async with http.get(url, headers=place.token("u1")) as answer:
            assert answer.status == 401
        async with http.get(url, headers=place.token("u1", aud="inst-2")) as answer:
            assert answer.status == 200


async def test_without_the_keys_nobody_is_let_in_and_nobody_refused(place: Any) -> None:
    async with (
        place.demo(JWKS_URL="http://127.0.0.1:9/jwks.json") as (url, http, _),
        http.get(url, headers=place.token("u1")) as answer,
    ):
        assert answer.status == 503


async def test_whose_app_it_is_may_be_asked_from_inside_the_cluster(place: Any) -> None:
    async with place.demo() as (url, http, _), http.get(f"{url}/about") as answer:
        text = await answer.text()
        assert answer.status == 200
    assert "Hello, Acme &amp; &lt;Sons&gt;" in text
    assert "(acme)" in text


async def test_the_app_tells_what_it_was_told(place: Any) -> None:
    headers = {**place.token("u1"), "x-td-user": "u1", "cookie": "own=1"}
    async with place.demo() as (url, http, _), http.get(f"{url}/whoami", headers=headers) as answer:
        told = await answer.json()
    assert told["user"] == {
        "id": "u1",
        "name": "Ada Lovelace",
        "email": "ada@acme.example",
        "role": "admin",
        "plan": "Free trial",
    }
    assert told["headers"] == {"x-td-user": "u1"}  # never the token itself
    assert told["cookie"] == "own=1"


async def test_the_clock_ticks_answers_and_ends_with_the_app(place: Any) -> None:
    async with (
        asyncio.timeout(10),
        place.demo() as (url, http, demo),
        http.ws_connect(f"{url}/clock?every=0.01", headers=place.token("u1")) as socket,
    ):
        assert "now" in await socket.receive_json()
        await socket.send_str("hello")
        while "echo" not in (told := await socket.receive_json()):
            assert "now" in told
        assert told == {"echo": "hello"}
        demo.end()
        while (message := await socket.receive()).type is not message.type.CLOSE:
            assert "now" in json.loads(message.data)
        assert message.data == 1001


async def test_the_feed_is_events_in_their_order(place: Any) -> None:
    async with (
        asyncio.timeout(10),
        place.demo() as (url, http, demo),
        http.get(f"{url}/feed?every=0.01", headers=place.token("u1")) as answer,
    ):
        assert answer.content_type == "text/event-stream"
        numbers = []
        while len(numbers) < 3:
            line = (await answer.content.readline()).decode()
            if line.startswith("data: "):
                numbers.append(json.loads(line.removeprefix("data: "))["number"])
        demo.end()
        await answer.read()
    assert numbers == [1, 2, 3]


async def test_a_download_and_an_upload_of_the_same_bytes_agree(place: Any) -> None:
    size = 3 * 1024 * 1024 + 17
    async with place.demo() as (url, http, _):
        async with http.get(f"{url}/download?bytes={size}", headers=place.token("u1")) as answer:
            assert answer.content_length == size
            body = await answer.read()
        async with http.post(f"{url}/upload", data=io.BytesIO(body), headers=place.token("u1")) as answer:
            told = await answer.json()
    assert told == {"bytes": size, "sha256": hashlib.sha256(body).hexdigest()}


@pytest.mark.parametrize("query", ["bytes=-1", "bytes=x", "bytes=nan", "type=image/png", "bytes=99999999999"])
async def test_a_download_that_makes_no_sense_is_refused(place: Any, query: str) -> None:
    async with (
        place.demo() as (url, http, _),
        http.get(f"{url}/download?{query}", headers=place.token("u1")) as answer,
    ):
        assert answer.status == 400


async def test_the_odd_pages_are_odd(place: Any) -> None:
    async with place.demo() as (url, http, _):
        async with http.get(f"{url}/strict", headers=place.token("u1")) as answer:
            policy, text = answer.headers["Content-Security-Policy"], await answer.text()
        (nonce,) = re.findall(r"'nonce-([^']+)'", policy)
        assert "'self'" not in policy.partition("script-src")[2].partition(";")[0]
        assert f'<script nonce="{nonce}">' in text
        async with http.get(f"{url}/bare", headers=place.token("u1")) as answer:
            text = await answer.text()
        assert "<head" not in text
        assert "<body" not in text


async def test_pages_are_compressed_for_those_who_take_it(place: Any) -> None:
    async with place.demo() as (url, http, _):
        for encoding, expected in (("gzip", "gzip"), ("identity", None)):
            headers = {**place.token("u1"), "Accept-Encoding": encoding}
            async with http.get(url, headers=headers) as answer:
                assert answer.headers.get("Content-Encoding") == expected
                assert "Hello, Ada" in await answer.text()
