"""The roles of an account's users, by SCIM (RFC 7644): the only place where Talkdesk tells them.

Source: https://docs.talkdesk.com/reference/get-users.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import model_validator

from talkdesk_client.answers import json_object, unexpected, validated_part
from talkdesk_client.listing import Reading, whole
from talkdesk_client.models import Answered, Identifier, Text, integer_or_none

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import httpx

    from talkdesk_client.options import ClientOptions
    from talkdesk_client.wire import Answer

EXTENSION = "urn:ietf:params:scim:schemas:extension:talkdesk:2.0:User"


class ScimUser(Answered):
    """One user of the account, licensed or not; ``email`` is SCIM's ``userName``, ``roles`` have no blanks
    around them and no order that means anything."""

    id: Identifier
    email: Text = None
    roles: tuple[str, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _from_scim(cls, value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value
        extension = value.get(EXTENSION)
        told = extension.get("rolesString") if isinstance(extension, Mapping) else None
        roles = told.split(";") if isinstance(told, str) else ()
        return {
            "id": value.get("id"),
            "email": value.get("userName"),
            "roles": tuple(role.strip() for role in roles if role.strip()),
        }


async def list_scim_users(
    page: Callable[[httpx.URL], Awaitable[Answer]], *, first: httpx.URL, options: ClientOptions
) -> tuple[ScimUser, ...]:
    """All users from ``first`` on, each id once.

    UnexpectedAnswer for a list beyond ``options.max_pages`` or ``options.max_users``, or that is not
    :func:`~talkdesk_client.listing.whole`: whoever is missing would lose their role.
    """

    async def read() -> Reading[ScimUser]:
        return await _read_through(page, first=first, options=options)

    return await whole(read, total="totalResults", options=options)


async def _read_through(
    page: Callable[[httpx.URL], Awaitable[Answer]], *, first: httpx.URL, options: ClientOptions
) -> Reading[ScimUser]:
    users: dict[str, ScimUser] = {}
    totals: list[int] = []
    entries = 0
    for _ in range(options.max_pages):
        url = first.copy_set_param("startIndex", entries + 1)  # counts from 1
        if options.scim_page_size:
            url = url.copy_set_param("count", options.scim_page_size)
        answer = await page(url)
        body = json_object(answer)
        total = integer_or_none(body.get("totalResults"))
        if total is not None:
            totals.append(total)
        listed = [validated_part(ScimUser, item, answer) for item in _resources(body, answer, total=total)]
        known = len(users)
        users.update((user.id, user) for user in listed)
        entries += len(listed)
        if len(users) > options.max_users:
            raise unexpected(answer, f"more than {options.max_users} users")
        if len(users) == known or (total is not None and entries >= total):
            return Reading(tuple(users.values()), entries, totals, answer)
    raise unexpected(answer, f"more than {options.max_pages} pages")


def _resources(body: Mapping[str, Any], answer: Answer, *, total: int | None) -> list[object]:
    """``Resources``, which may be left out of an empty page."""
    found = body.get("Resources")
    if isinstance(found, list):
        return found
    if found is None and total is not None:
        return []
    raise unexpected(answer, "no Resources")
