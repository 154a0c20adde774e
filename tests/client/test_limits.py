"""One slow or hostile answer costs a bounded amount of time, memory and connections."""

from __future__ import annotations

import asyncio
import gzip
from typing import Any

import httpx
import pytest

from talkdesk_client import TransportError, UnexpectedAnswer, http_client
from talkdesk_client.wire import exchange


async def _until(condition: Any) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 # what is waited for knows of no event
            await asyncio.sleep(0)


class Gate:
    """Holds every request until it is opened, and counts how many it holds."""

    def __init__(self, body: httpx.Response) -> None:
        self.body, self.opened, self.inside, self.most = body, asyncio.Event(), 0, 0

    async def __call__(self, _: httpx.Request) -> httpx.Response:
        self.inside += 1
        self.most = max(self.most, self.inside)
        await self.opened.wait()
        self.inside -= 1
        return httpx.Response(200, content=self.body.content)


async def test_one_installation_has_at_most_so_many_requests_under_way_and_others_are_not_held_up(
    talkdesk: Any, connect: Any, ref_with: Any, an_installation: httpx.Response
) -> None:
    gate = Gate(an_installation)
    talkdesk.answers = [gate]
    async with connect(concurrency=3) as client:
        one, other = ref_with(), ref_with(account_id="account-2")
        calls = [asyncio.create_task(client.installation(one)) for _ in range(10)]
        await _until(lambda: gate.inside == 3)
        calls.append(asyncio.create_task(client.installation(other)))
        await _until(lambda: gate.inside == 4)
        gate.opened.set()
        await asyncio.gather(*calls)
    assert gate.most == 4
    assert len(talkdesk.asked) == 11


async def test_a_cancelled_call_gives_its_place_back(
    talkdesk: Any, connect: Any, ref: Any, an_installation: httpx.Response
) -> None:
    gate = Gate(an_installation)
    talkdesk.answers = [gate]
    async with connect(concurrency=1) as client:
        first = asyncio.create_task(client.installation(ref))
        await _until(lambda: gate.inside == 1)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        gate.opened.set()
        assert (await client.installation(ref)).id == "installation-1"


async def test_an_answer_that_never_comes_is_given_up(talkdesk: Any, connect: Any, ref: Any) -> None:
    async def never(_: httpx.Request) -> httpx.Response:
        await asyncio.Event().wait()
        raise AssertionError

    talkdesk.answers = [never]
    async with connect(attempt_timeout=0.05, retry_attempts=2) as client:
        with pytest.raises(TransportError, match=r"no whole answer within 0\.05 s"):
            await client.installation(ref)
        assert len(talkdesk.asked) == 2
        with pytest.raises(TransportError) as caught:
            await client.answer(ref, "approve")
    assert caught.value.outcome_unknown
    assert len(talkdesk.asked) == 3


async def test_a_change_that_found_no_free_place_was_certainly_not_sent(talkdesk: Any) -> None:
    async with http_client(transport=httpx.MockTransport(talkdesk)) as http:
        with pytest.raises(TransportError, match="no free place") as caught:
            await exchange(
                http,
                http.build_request("POST", "https://api.talkdesk.example/state"),
                auth=None,
                lane=asyncio.Semaphore(0),
                timeout=0.02,
                max_bytes=1024,
                change=True,
            )
    assert not caught.value.outcome_unknown
    assert talkdesk.asked == []


@pytest.mark.parametrize("packed", [False, True])
async def test_a_body_beyond_the_limit_is_not_read(
    talkdesk: Any, connect: Any, ref: Any, packed: bool
) -> None:
    body = b'{"id":"' + b"x" * 3_000_000 + b'"}'
    headers = {"Content-Encoding": "gzip"} if packed else {}
    content = gzip.compress(body) if packed else body
    talkdesk.answers = [lambda _: httpx.Response(200, content=content, headers=headers)]
    async with connect(max_bytes=1_000_000) as client:
        with pytest.raises(UnexpectedAnswer, match="more than 1000000 bytes"):
            await client.installation(ref)
    async with connect(max_bytes=4_000_000) as client:
        with pytest.raises(UnexpectedAnswer, match="another installation"):
            await client.installation(ref)


async def test_a_body_that_does_not_unpack_is_no_answer(talkdesk: Any, connect: Any, ref: Any) -> None:
    headers = {"Content-Encoding": "gzip"}
    talkdesk.answers = [lambda _: httpx.Response(200, stream=httpx.ByteStream(b"no gzip"), headers=headers)]
    async with connect(retry_attempts=1) as client:
        with pytest.raises(TransportError, match="DecodingError"):
            await client.installation(ref)


async def test_a_closed_connection_pool_is_a_transport_error(connect: Any, ref: Any) -> None:
    async with connect(retry_attempts=1) as client:
        await client._session._http.aclose()
        with pytest.raises(TransportError, match="RuntimeError"):
            await client.installation(ref)
