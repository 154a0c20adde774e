"""Roles by SCIM: all pages, and no list that may be cut short, for whoever is missing loses their role."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from talkdesk_client import Forbidden, NotFound, RateLimited, UnexpectedAnswer

EXTENSION = "urn:ietf:params:scim:schemas:extension:talkdesk:2.0:User"


def _user(number: int, roles: Any = "Agent") -> dict[str, Any]:
    return {"id": f"user-{number}", "userName": f"u{number}@example.com", EXTENSION: {"rolesString": roles}}


class Scim:
    """Serves ``count`` users as RFC 7644 says, at most ``largest`` on a page; ``total`` is what it claims."""

    def __init__(self, count: int, *, largest: int = 100, total: int | None = -1) -> None:
        self.users = [_user(number) for number in range(count)]
        self.largest = largest
        self.total = count if total == -1 else total
        self.asked: list[dict[str, str]] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        query = dict(request.url.params)
        self.asked.append(query)
        first = int(query["startIndex"])
        page = self.users[first - 1 :][: min(self.largest, int(query.get("count", self.largest)))]
        body: dict[str, Any] = {"startIndex": first, "itemsPerPage": len(page), "Resources": page}
        return httpx.Response(200, json=body if self.total is None else {**body, "totalResults": self.total})


@pytest.mark.parametrize(("count", "largest", "pages"), [(0, 100, 1), (1, 100, 1), (5, 2, 3), (4, 2, 2)])
async def test_all_pages_are_read_however_short_the_server_makes_them(
    *, talkdesk: Any, connect: Any, ref: Any, count: int, largest: int, pages: int
) -> None:
    scim = Scim(count, largest=largest)
    talkdesk.answers = [scim]
    async with connect() as client:
        users = await client.scim_roles(ref)
    assert [user.id for user in users] == [f"user-{number}" for number in range(count)]
    assert [query["startIndex"] for query in scim.asked] == [str(1 + n * largest) for n in range(pages)]
    assert {query["count"] for query in scim.asked} == {"100"}
    assert talkdesk.scopes == ["scim"]
    assert talkdesk.asked[0].url.path == "/scim/v2/Users"


async def test_page_size_and_scope_are_settings(talkdesk: Any, connect: Any, ref: Any) -> None:
    scim = Scim(3)
    talkdesk.answers = [scim]
    async with connect(scim_page_size=0, scim_scope="") as client:
        await client.scim_roles(ref)
    assert scim.asked == [{"startIndex": "1"}]
    assert talkdesk.scopes == [None]
    async with connect(scim_page_size=2, scim_scope="scim:read") as client:
        await client.scim_roles(ref)
    assert [query["count"] for query in scim.asked[1:]] == ["2", "2"]
    assert talkdesk.scopes[1:] == ["scim:read"]


@pytest.mark.parametrize(
    ("told", "roles"),
    [
        ("Supervisor;Agent", ("Supervisor", "Agent")),
        (" Supervisor ; ;Agent;", ("Supervisor", "Agent")),
        ("Team Lead", ("Team Lead",)),
        ("", ()),
        (None, ()),
        (["Supervisor"], ()),
    ],
)
async def test_roles_are_told_apart_by_semicolons(
    talkdesk: Any, connect: Any, ref: Any, told: Any, roles: tuple[str, ...]
) -> None:
    talkdesk.answers = [httpx.Response(200, json={"totalResults": 1, "Resources": [_user(1, told)]})]
    async with connect() as client:
        (user,) = await client.scim_roles(ref)
    assert (user.email, user.roles) == ("u1@example.com", roles)


@pytest.mark.parametrize("extension", [{}, {EXTENSION: None}, {EXTENSION: "Supervisor"}])
async def test_a_user_without_the_extension_has_no_role(
    talkdesk: Any, connect: Any, ref: Any, extension: dict[str, Any]
) -> None:
    user = {"id": "user-1", **extension}
    talkdesk.answers = [httpx.Response(200, json={"totalResults": 1, "Resources": [user]})]
    async with connect() as client:
        assert [one.roles for one in await client.scim_roles(ref)] == [()]


async def test_an_empty_account_may_leave_resources_out(talkdesk: Any, connect: Any, ref: Any) -> None:
    talkdesk.answers = [httpx.Response(200, json={"totalResults": 0})]
    async with connect() as client:
        assert await client.scim_roles(ref) == ()


async def test_without_a_total_the_list_ends_where_nobody_new_comes(
    talkdesk: Any, connect: Any, ref: Any
) -> None:
    talkdesk.answers = [Scim(5, largest=2, total=None)]
    async with connect() as client:
        assert len(await client.scim_roles(ref)) == 5


async def test_a_list_that_is_not_whole_is_read_three_times_and_then_refused(
    talkdesk: Any, connect: Any, ref: Any
) -> None:
    scim = Scim(3, total=4)
    talkdesk.answers = [scim]
    async with connect() as client:
        with pytest.raises(UnexpectedAnswer, match="3 users whose totalResults says 4"):
            await client.scim_roles(ref)
    assert [query["startIndex"] for query in scim.asked] == ["1", "4"] * 3
    async with connect(users_total="ignore") as client:
        assert len(await client.scim_roles(ref)) == 3


class Shifting(Scim):
    """Loses its first user after each of the first ``times`` first pages; what follows moves up by one."""

    def __init__(self, count: int, *, times: int) -> None:
        super().__init__(count, largest=2)
        self.times = times

    def __call__(self, request: httpx.Request) -> httpx.Response:
        answer = super().__call__(request)
        if self.asked[-1]["startIndex"] == "1" and self.times:
            self.times -= 1
            del self.users[0]
            self.total = len(self.users)
        return answer


async def test_a_list_that_moved_up_while_it_was_read_is_read_again(
    talkdesk: Any, connect: Any, ref: Any
) -> None:
    talkdesk.answers = [Shifting(5, times=1)]
    async with connect() as client:
        users = await client.scim_roles(ref)
    assert [user.id for user in users] == ["user-1", "user-2", "user-3", "user-4"]


async def test_a_list_that_moves_in_every_reading_is_refused(talkdesk: Any, connect: Any, ref: Any) -> None:
    talkdesk.answers = [Shifting(9, times=3)]
    async with connect() as client:
        with pytest.raises(UnexpectedAnswer, match="totalResults went from 7 to 6"):
            await client.scim_roles(ref)
    talkdesk.answers = [Shifting(9, times=1)]
    async with connect(users_total="ignore") as client:
        assert len(await client.scim_roles(ref)) == 8


async def test_a_page_that_comes_again_and_again_ends(talkdesk: Any, connect: Any, ref: Any) -> None:
    same = httpx.Response(200, json={"totalResults": 1000, "Resources": [_user(1)]})
    talkdesk.answers = [same]
    async with connect() as client:
        with pytest.raises(UnexpectedAnswer):
            await client.scim_roles(ref)
    assert len(talkdesk.asked) == 6


async def test_lists_are_bounded_in_users_and_pages(talkdesk: Any, connect: Any, ref: Any) -> None:
    talkdesk.answers = [Scim(6, largest=2)]
    async with connect(max_users=3) as client:
        with pytest.raises(UnexpectedAnswer, match="more than 3 users"):
            await client.scim_roles(ref)
    async with connect(max_pages=2) as client:
        with pytest.raises(UnexpectedAnswer, match="more than 2 pages"):
            await client.scim_roles(ref)


@pytest.mark.parametrize(
    "body",
    [
        {"Resources": "all"},
        {"totalResults": 1, "Resources": {"id": "u"}},
        {"totalResults": 1, "Resources": [{"userName": "a"}]},
        {"totalResults": 1, "Resources": ["u"]},
        {},
        [],
    ],
)
async def test_what_is_no_list_of_users_is_unexpected(
    talkdesk: Any, connect: Any, ref: Any, body: Any
) -> None:
    talkdesk.answers = [httpx.Response(200, json=body)]
    async with connect() as client:
        with pytest.raises(UnexpectedAnswer):
            await client.scim_roles(ref)


@pytest.mark.parametrize(("status", "error"), [(403, Forbidden), (404, NotFound), (429, RateLimited)])
async def test_errors_in_scims_own_shape_are_read(
    talkdesk: Any, connect: Any, ref: Any, status: int, error: Any
) -> None:
    body = {"schemas": [], "status": str(status), "detail": "not for you", "scimType": "sensitive"}
    talkdesk.answers = [httpx.Response(status, json=body)]
    async with connect(retry_attempts=1) as client:
        with pytest.raises(error, match="not for you") as caught:
            await client.scim_roles(ref)
    assert caught.value.code == "sensitive"
