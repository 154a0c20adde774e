"""Reading a paged list to its end, and knowing that it was the end.

Whoever is missing from the list of users loses access, so a list that may be cut short is no list.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from talkdesk_client.answers import json_object, unexpected, validated_part
from talkdesk_client.models import User, embedded, href, integer_or_none

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import httpx

    from talkdesk_client.hosts import Hosts
    from talkdesk_client.options import ClientOptions
    from talkdesk_client.wire import Answer

#: Someone may be added while the pages are read; then the count is wrong once, not three times.
_READINGS = 3


async def list_users(
    page: Callable[[httpx.URL], Awaitable[Answer]],
    *,
    first: httpx.URL,
    hosts: Hosts,
    options: ClientOptions,
) -> tuple[User, ...]:
    """All users from the page at ``first`` and those its ``next`` links lead to.

    ForeignHost for a ``next`` that leaves the API gateway; UnexpectedAnswer for a list without an end, beyond
    ``options.max_pages`` or ``options.max_users``, or with another number of entries than its ``total``.
    """
    if options.page_size:
        first = first.copy_set_param(options.page_size_parameter, options.page_size)
    for _ in range(_READINGS):
        users, entries, last = await _read_through(page, first=first, hosts=hosts, options=options)
        total = integer_or_none(json_object(last).get("total"))
        if options.users_total == "ignore" or total is None or total in (entries, len(users)):
            return tuple(users.values())
    raise unexpected(last, f"a list of {entries} users whose total says {total}")


async def _read_through(
    page: Callable[[httpx.URL], Awaitable[Answer]],
    *,
    first: httpx.URL,
    hosts: Hosts,
    options: ClientOptions,
) -> tuple[dict[str, User], int, Answer]:
    """Users by id, entries seen (a user may come twice), and the last page."""
    users: dict[str, User] = {}
    entries = 0
    url = first
    for _ in range(options.max_pages):
        answer = await page(url)
        body = json_object(answer)
        listed = [validated_part(User, item, answer) for item in _entries(body, answer)]
        known = len(users)
        users.update((user.id, user) for user in listed)
        entries += len(listed)
        if len(users) > options.max_users:
            raise unexpected(answer, f"more than {options.max_users} users")
        target = href(body, "next")
        if target is None:
            return users, entries, answer
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
