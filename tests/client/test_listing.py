"""All users, page after page: to the end, and only there."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from talkdesk_client import ForeignHost, TransportError, UnexpectedAnswer

URL = "https://api.talkdesk.example/apps/app-1/installations/installation-1/users"


def _page(users: Any, *, following: Any = None, total: Any = None, **more: Any) -> httpx.Response:
    links = {"self": {"href": URL}} | ({"next": following} if following is not None else {})
    body = {"page": 1, "per_page": 2, "_embedded": {"users": users}, "_links": links} | more
    return httpx.Response(200, json=body if total is None else body | {"total": total})


def _users(*numbers: int) -> list[dict[str, Any]]:
    return [{"id": f"u{number}", "email": f"{number}@example.com"} for number in numbers]


async def _listed(connect: Any, ref: Any, **options: Any) -> list[str]:
    async with connect(**options) as client:
        return [user.id for user in await client.users(ref)]


class Pages:
    """A list served as Talkdesk does: by ``page`` and ``per_page``."""

    def __init__(self, ids: list[str], *, default: int = 20, largest: int = 100) -> None:
        self.ids, self.default, self.largest = ids, default, largest

    def __call__(self, request: httpx.Request) -> httpx.Response:
        query = request.url.params
        size = min(int(query.get("per_page", self.default)), self.largest)
        number = int(query.get("page", 1))
        shown = self.ids[(number - 1) * size : number * size]
        more = number * size < len(self.ids)
        following = {"href": f"{URL}?page={number + 1}&per_page={size}"} if more else None
        return _page([{"id": id_} for id_ in shown], following=following, total=len(self.ids))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    count=st.integers(0, 60), default=st.integers(1, 25), largest=st.integers(1, 25), size=st.integers(0, 25)
)
async def test_every_user_is_listed_once_and_in_order_whatever_the_page_size(
    *, talkdesk: Any, connect: Any, ref: Any, count: int, default: int, largest: int, size: int
) -> None:
    ids = [f"u{number}" for number in range(count)]
    talkdesk.answers = [Pages(ids, default=default, largest=largest)]
    assert await _listed(connect, ref, page_size=size) == ids


async def test_the_page_size_is_asked_for_by_a_parameter_that_is_a_setting(
    talkdesk: Any, connect: Any, ref: Any
) -> None:
    talkdesk.answers = [_page(_users(1))]
    await _listed(connect, ref, page_size=50, page_size_parameter="limit")
    await _listed(connect, ref, page_size=0)
    assert [str(request.url) for request in talkdesk.asked] == [f"{URL}?limit=50", URL]


@pytest.mark.parametrize(
    "following",
    [
        {"href": f"{URL}?page=2"},
        {"href": "?page=2"},
        {"href": "/apps/app-1/installations/installation-1/users?page=2"},
        f"{URL}?page=2",
        {"href": f"{URL}?page=2", "templated": False},
    ],
)
async def test_next_may_be_absolute_relative_or_a_plain_string(
    talkdesk: Any, connect: Any, ref: Any, following: Any
) -> None:
    talkdesk.answers = [_page(_users(1), following=following), _page(_users(2))]
    assert await _listed(connect, ref) == ["u1", "u2"]
    assert str(talkdesk.asked[1].url) == f"{URL}?page=2"


@pytest.mark.parametrize("following", [{}, {"href": ""}, {"href": None}, "", [], 7])
async def test_an_empty_next_is_the_end(talkdesk: Any, connect: Any, ref: Any, following: Any) -> None:
    talkdesk.answers = [_page(_users(1), following=following)]
    assert await _listed(connect, ref) == ["u1"]


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example/users?page=2",
        "http://api.talkdesk.example/users?page=2",
        "//evil.example/users",
        "https://api.talkdesk.example@evil.example/",
        "https://api.talkdesk.example:8443/",
        "javascript:alert(1)",
        "\\\\evil.example/users",
    ],
)
async def test_a_next_that_leaves_the_gateway_is_refused_and_never_contacted(
    talkdesk: Any, connect: Any, ref: Any, target: str
) -> None:
    talkdesk.answers = [_page(_users(1), following={"href": target})]
    with pytest.raises(ForeignHost):
        await _listed(connect, ref)
    assert len(talkdesk.asked) == 1


@pytest.mark.parametrize(
    "embedded",
    [
        {"users": _users(1, 2)},
        _users(1, 2),
        [{"users": _users(1, 2)}],
        [{"other": 1}, {"users": _users(1, 2)}],
    ],
)
async def test_embedded_may_be_an_object_or_an_array(
    talkdesk: Any, connect: Any, ref: Any, embedded: Any
) -> None:
    talkdesk.answers = [httpx.Response(200, json={"total": 2, "_embedded": embedded})]
    assert await _listed(connect, ref) == ["u1", "u2"]


async def test_a_single_user_may_be_an_object(talkdesk: Any, connect: Any, ref: Any) -> None:
    talkdesk.answers = [httpx.Response(200, json={"total": 1, "_embedded": {"users": _users(1)[0]}})]
    assert await _listed(connect, ref) == ["u1"]


async def test_users_are_read_leniently_but_never_without_an_id(
    talkdesk: Any, connect: Any, ref: Any
) -> None:
    listed = [
        {"id": 7, "active": None, "gender": {}, "extension": "12", "created_at": "long ago"},
        {"id": "u2", "active": False, "name": None, "email": ["x"], "new": [1]},
    ]
    talkdesk.answers = [_page(listed)]
    async with connect() as client:
        first, second = await client.users(ref)
    assert (first.id, first.active) == ("7", True)
    assert (second.active, second.email) == (False, None)
    for broken in ({}, {"id": ""}, {"id": None}, {"id": []}, "u1", None, {"id": "u", "active": "perhaps"}):
        talkdesk.answers = [_page([broken])]
        with pytest.raises(UnexpectedAnswer):
            await _listed(connect, ref)


@pytest.mark.parametrize(
    "body",
    [{}, {"total": 1}, {"total": 1, "_embedded": {}}, {"_embedded": None}, {"_embedded": {"users": None}}],
)
async def test_a_page_without_a_list_is_not_an_empty_list(
    talkdesk: Any, connect: Any, ref: Any, body: Any
) -> None:
    talkdesk.answers = [httpx.Response(200, json=body)]
    with pytest.raises(UnexpectedAnswer, match="_embedded"):
        await _listed(connect, ref)


async def test_nobody_is_an_answer_when_the_total_says_so(talkdesk: Any, connect: Any, ref: Any) -> None:
    for body in ({"total": 0}, {"total": "0", "_embedded": {}}, {"total": 0, "_embedded": {"users": []}}):
        talkdesk.answers = [httpx.Response(200, json=body)]
        assert await _listed(connect, ref) == []


@pytest.mark.parametrize("target", ["", "?page=1", "?page=2"])
async def test_a_list_that_goes_round_in_circles_ends_in_an_error(
    talkdesk: Any, connect: Any, ref: Any, target: str
) -> None:
    talkdesk.answers = [_page(_users(1, 2), following={"href": f"{URL}{target}"})]
    with pytest.raises(UnexpectedAnswer, match="nobody new"):
        await _listed(connect, ref)
    assert len(talkdesk.asked) == 2


async def test_an_endless_list_of_new_users_is_bounded(talkdesk: Any, connect: Any, ref: Any) -> None:
    def more(_: httpx.Request) -> httpx.Response:
        number = len(talkdesk.asked)
        return _page(_users(2 * number, 2 * number + 1), following={"href": f"{URL}?page={number + 1}"})

    talkdesk.answers = [more]
    with pytest.raises(UnexpectedAnswer, match="more than 7 pages"):
        await _listed(connect, ref, max_pages=7)
    assert len(talkdesk.asked) == 7
    with pytest.raises(UnexpectedAnswer, match="more than 5 users"):
        await _listed(connect, ref, max_users=5)


async def test_a_list_cut_short_is_read_again_and_then_refused(talkdesk: Any, connect: Any, ref: Any) -> None:
    talkdesk.answers = [_page(_users(1, 2), total=3)]
    with pytest.raises(UnexpectedAnswer, match="2 users whose total says 3"):
        await _listed(connect, ref)
    assert len(talkdesk.asked) == 3
    assert await _listed(connect, ref, users_total="ignore") == ["u1", "u2"]


async def test_a_list_that_changed_while_it_was_read_is_read_again(
    talkdesk: Any, connect: Any, ref: Any
) -> None:
    talkdesk.answers = [
        _page(_users(1, 2), following={"href": "?page=2"}, total=3),
        _page(_users(2), total=4),
        _page(_users(1, 2), following={"href": "?page=2"}, total=4),
        _page(_users(3, 4), total=4),
    ]
    assert await _listed(connect, ref) == ["u1", "u2", "u3", "u4"]


async def test_a_list_that_moved_up_while_it_was_read_is_read_again(
    talkdesk: Any, connect: Any, ref: Any
) -> None:
    """u1 goes after the first page: u3 moves to it, and was on neither page that was read."""
    talkdesk.answers = [
        _page(_users(1, 2), following={"href": "?page=2"}, total=5),
        _page(_users(4, 5), total=4),
        _page(_users(2, 3), following={"href": "?page=2"}, total=4),
        _page(_users(4, 5), total=4),
    ]
    assert await _listed(connect, ref) == ["u2", "u3", "u4", "u5"]


async def test_a_list_that_moves_in_every_reading_is_refused(talkdesk: Any, connect: Any, ref: Any) -> None:
    moving = [
        _page(_users(1, 2), following={"href": "?page=2"}, total=5),
        _page(_users(4, 5), total=4),
    ]
    talkdesk.answers = moving * 3
    with pytest.raises(UnexpectedAnswer, match="4 users whose total went from 5 to 4"):
        await _listed(connect, ref)
    assert len(talkdesk.asked) == 6
    talkdesk.answers = list(moving)
    assert await _listed(connect, ref, users_total="ignore") == ["u1", "u2", "u4", "u5"]


async def test_a_page_that_fails_for_a_moment_does_not_begin_the_list_anew(
    talkdesk: Any, connect: Any, ref: Any
) -> None:
    talkdesk.answers = [
        _page(_users(1), following={"href": "?page=2"}),
        httpx.ReadTimeout("x"),
        httpx.Response(503),
        _page(_users(2)),
    ]
    assert await _listed(connect, ref) == ["u1", "u2"]
    assert [request.url.query for request in talkdesk.asked] == [b"per_page=100"] + [b"page=2"] * 3


async def test_a_page_that_cannot_be_had_gives_no_list_at_all(talkdesk: Any, connect: Any, ref: Any) -> None:
    talkdesk.answers = [_page(_users(1), following={"href": "?page=2"}), httpx.ReadTimeout("x")]
    with pytest.raises(TransportError):
        await _listed(connect, ref)


async def test_a_token_that_expires_between_two_pages_is_renewed(
    talkdesk: Any, connect: Any, ref: Any
) -> None:
    talkdesk.answers = [
        _page(_users(1), following={"href": "?page=2"}),
        httpx.Response(401),
        _page(_users(2)),
    ]
    assert await _listed(connect, ref) == ["u1", "u2"]
    assert talkdesk.bearers == ["token-1", "token-1", "token-2"]
