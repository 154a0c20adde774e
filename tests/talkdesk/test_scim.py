"""SCIM: the account's users with their roles, page by page, and errors in its own shape."""

from __future__ import annotations

from typing import Any

import pytest

EXTENSION = "urn:ietf:params:scim:schemas:extension:talkdesk:2.0:User"


async def _list(partner: Any, **query: Any) -> Any:
    token = await partner.token(scope="scim")
    return await partner.call("/scim/v2/Users", token=token, root=partner.root, params=query)


async def test_users_are_listed_with_their_roles_licensed_or_not(desk: Any) -> None:
    partner = await desk.install(users=desk.users[:1])
    await desk.control.patch(f"/control/users/{desk.users[1]}", json={"roles": ["Team Lead", "Agent"]})
    made = await desk.post(
        f"/control/accounts/{desk.account['id']}/users",
        {"email": "new@example.com", "name": "New", "roles": ["Agent"]},
    )
    assert made["roles"] == ["Agent"]
    body = (await _list(partner)).json()
    assert body["schemas"] == ["urn:ietf:params:scim:api:messages:2.0:ListResponse"]
    assert (body["totalResults"], body["startIndex"], body["itemsPerPage"]) == (5, 1, 5)
    roles = {user["id"]: user[EXTENSION]["rolesString"] for user in body["Resources"]}
    assert roles == {**dict.fromkeys(desk.users, ""), desk.users[1]: "Team Lead;Agent", made["id"]: "Agent"}
    one = next(user for user in body["Resources"] if user["id"] == made["id"])
    assert (one["userName"], one["active"]) == ("new@example.com", True)
    token = await partner.token(scope="scim")
    assert (await partner.call(f"/scim/v2/Users/{made['id']}", token=token, root=partner.root)).json() == one


@pytest.mark.parametrize(
    ("query", "start", "numbers"),
    [
        ({"startIndex": 2, "count": 2}, 2, [1, 2]),
        ({"startIndex": 4}, 4, [3]),
        ({"startIndex": 5}, 5, []),
        ({"startIndex": 0, "count": 1}, 1, [0]),
        ({"startIndex": -3, "count": 1}, 1, [0]),
        ({"count": 0}, 1, []),
        ({"count": -1}, 1, []),
    ],
)
async def test_pages_begin_at_one_and_odd_numbers_mean_what_the_standard_says(
    desk: Any, query: dict[str, int], start: int, numbers: list[int]
) -> None:
    body = (await _list(await desk.install(), **query)).json()
    assert [user["id"] for user in body["Resources"]] == [desk.users[number] for number in numbers]
    assert (body["totalResults"], body["startIndex"], body["itemsPerPage"]) == (4, start, len(numbers))


@pytest.mark.parametrize(
    ("query", "scim_type"),
    [
        ({"count": "many"}, "invalidValue"),
        ({"startIndex": "x"}, "invalidValue"),
        ({"filter": "a"}, "invalidFilter"),
    ],
)
async def test_a_wrong_query_is_told_in_scims_shape(desk: Any, query: dict[str, str], scim_type: str) -> None:
    response = await _list(await desk.install(), **query)
    assert response.status_code == 400
    body = response.json()
    assert body["schemas"] == ["urn:ietf:params:scim:api:messages:2.0:Error"]
    assert (body["status"], body["scimType"]) == ("400", scim_type)


async def test_its_own_scope_is_needed_and_a_token_at_all(desk: Any) -> None:
    partner = await desk.install()
    narrow = await partner.token(scope="users:read")
    url = f"{partner.root}/scim/v2/Users"
    for headers, status in (({"Authorization": f"Bearer {narrow}"}, 403), ({}, 401)):
        response = await desk.http.get(url, headers=headers)
        assert (response.status_code, response.json()["status"]) == (status, str(status))
        assert set(response.json()) == {"schemas", "status", "detail"}


async def test_another_accounts_users_are_not_there(desk: Any) -> None:
    partner = await desk.install()
    _, strangers = desk.new_account("umbrella", "eu")
    token = await partner.token(scope="scim")
    listed = (await _list(partner)).json()["Resources"]
    assert not {user["id"] for user in listed} & set(strangers)
    response = await partner.call(f"/scim/v2/Users/{strangers[0]}", token=token, root=partner.root)
    assert (response.status_code, response.json()["status"]) == (404, "404")


@pytest.mark.parametrize("role", ["a;b", "", " a", "a "])
async def test_a_role_that_could_not_be_told_from_two_is_refused(desk: Any, role: str) -> None:
    response = await desk.control.patch(f"/control/users/{desk.users[0]}", json={"roles": [role]})
    assert response.status_code == 400
