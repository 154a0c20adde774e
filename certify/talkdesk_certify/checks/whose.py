"""Whose page it is, by the words that are known of somebody: their names and e-mail addresses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from talkdesk_certify.check import Failed
from talkdesk_certify.reviewer.drawn import appears, settled
from talkdesk_certify.reviewer.prose import ADDRESS, prose

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from talkdesk_certify.guest import Guest
    from talkdesk_certify.journey import Journey, Role
    from talkdesk_certify.reviewer.visit import Visit


def known(customer: Journey | Guest, role: Role) -> tuple[list[str], list[str]]:
    """The words for the user in ``role``, and those for all others of the account."""
    words = [(one, word) for each in (customer.names, customer.emails) for one, word in each.items()]
    return [word for one, word in words if one == role], [word for one, word in words if one != role]


async def shows_alone(visit: Visit, own: Sequence[str], others: Iterable[str]) -> str:
    """The page has one of the words ``own``, and none of ``others``; which it has. Raises Failed.

    A name of ``own`` that stands only in an address or a link, as an account's may, is not there.
    """

    async def found_own() -> list[str]:
        words = await visit.words()
        return [one for one in own if _among(words if ADDRESS.search(one) else prose(words), [one])]

    found = await appears(found_own)
    await settled(visit.page)
    if strangers := _among(await visit.words(), others):
        raise Failed(f"this is {own[0]}, and the app shows {strangers[0]}")
    if not found:
        if len(own) == 1:
            raise Failed(f"the app does not show {own[0]}")
        raise Failed(f"the app shows neither {' nor '.join(own)}")
    return found[0]


def _among(words: str, wanted: Iterable[str]) -> list[str]:
    """Capitals may be the page's style alone."""
    return [one for one in wanted if one.casefold() in words.casefold()]
