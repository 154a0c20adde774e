"""Reading a paged list to its end, and knowing that it was the end.

Whoever is missing from the list of users loses access, so a list that may be cut short is no list.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from talkdesk_client.answers import json_object, unexpected, validated_part
from talkdesk_client.models import User, embedded, href, integer_or_none

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import httpx

    from talkdesk_client.hosts import Hosts
    from talkdesk_client.options import ClientOptions
    from talkdesk_client.wire import Answer

#: Someone may come or go while the pages are read; then the count is wrong once, not three times.
_READINGS = 3

ListedT = TypeVar("ListedT")


@dataclass(frozen=True)
class Reading(Generic[ListedT]):
    """A list read to its end once.

    ``users``    each once
    ``entries``  how many were seen: a user may come twice
    ``totals``   each total that a page said
    ``last``     the last page
    """

    users: tuple[ListedT, ...]
    entries: int
    totals: list[int]
    last: Answer


async def whole(
    read: Callable[[], Awaitable[Reading[ListedT]]], *, total: str, options: ClientOptions
) -> tuple[ListedT, ...]:
    """The users of the first reading that left nobody out.

    UnexpectedAnswer where three had another number of entries than their total, or pages that differ in it:
    somebody of an earlier page went, and whoever stood at the next one's beginning was on neither.

    :param total: what the list calls it.
    """
    for _ in range(_READINGS):
        reading = await read()
        users, entries, totals = reading.users, reading.entries, reading.totals
        moved = len(set(totals)) > 1
        complete = not moved and totals[:1] in ([], [entries], [len(users)])
        if options.users_total == "ignore" or complete:
            return users
        said = f"went from {totals[0]} to {totals[-1]}" if moved else f"says {totals[0]}"
        problem = unexpected(reading.last, f"a list of {entries} users whose {total} {said}")
        del reading, users  # there may be many, and as many come again
    raise problem


async def list_users(
    page: Callable[[httpx.URL], Awaitable[Answer]],
    *,
    first: httpx.URL,
    hosts: Hosts,
    options: ClientOptions,
) -> tuple[User, ...]:
    """All users from the page at ``first`` and those its ``next`` links lead to.

    ForeignHost for a ``next`` that leaves the API gateway; UnexpectedAnswer for a list without an end, beyond
    ``options.max_pages`` or ``options.max_users``, or that is not :func:`whole`.
    """
    if options.page_size:
        first = first.copy_set_param(options.page_size_parameter, options.page_size)

    async def read() -> Reading[User]:
        return await _read_through(page, first=first, hosts=hosts, options=options)

    return await whole(read, total="total", options=options)


async def _read_through(
    page: Callable[[httpx.URL], Awaitable[Answer]],
    *,
    first: httpx.URL,
    hosts: Hosts,
    options: ClientOptions,
) -> Reading[User]:
    users: dict[str, User] = {}
    totals: list[int] = []
    entries = 0
    url = first
    for _ in range(options.max_pages):
        answer = await page(url)
        body = json_object(answer)
        total = integer_or_none(body.get("total"))
        if total is not None:
            totals.append(total)
        listed = [validated_part(User, item, answer) for item in _entries(body, answer)]
        known = len(users)
        users.update((user.id, user) for user in listed)
        entries += len(listed)
        if len(users) > options.max_users:
            raise unexpected(answer, f"more than {options.max_users} users")
        target = href(body, "next")
        if target is None:
            return Reading(tuple(users.values()), entries, totals, answer)
        if len(users) == known:
            raise unexpected(answer, "a page that brings nobody new and yet names a next one")
        url = hosts.api_url(target, seen_at=url)
    raise unexpected(answer, f"more than {options.max_pages} pages")


def _entries(body: Mapping[str, Any], answer: Answer) -> list[object]:
    """``_embedded.users``; also where ``_embedded`` is the array itself, or ``users`` a single object."""
    found = embedded(body, "users")
    if found is None and isinstance(body.get("_embedded"), list):
        found = body["_embedded"]
    if isinstance(found, list):
        return found
    if isinstance(found, Mapping):
        return [found]
    if integer_or_none(body.get("total")) == 0:
        return []
    raise unexpected(answer, "no _embedded.users")
