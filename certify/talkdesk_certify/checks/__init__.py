"""The items of Talkdesk's QA checklist, one module each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from talkdesk_certify.checks import (
    another_user,
    first_launch,
    identity,
    install,
    plan,
    terms,
    uninstall,
    users,
)

if TYPE_CHECKING:
    from talkdesk_certify.check import Check, Item

#: Items 1 to 6, in the order of the checklist.
WALK: tuple[Item, ...] = (
    install.item,
    first_launch.item,
    another_user.item,
    users.item,
    plan.item,
    uninstall.item,
)
IDENTITY, TERMS = identity.item, terms.item


def for_customers(item: Item) -> list[Check]:
    """The item's checks in an ordinary account."""
    return [one for one in item.checks if one.accounts != "resellers"]


def for_resellers(item: Item) -> list[Check]:
    """The item's checks as a part of item 8."""
    return [one.below(RESELLER_ID) for one in item.checks if one.accounts != "customers"]


RESELLER_ID = "8"
RESELLER_TITLE = "Reseller installation: items 1 to 6 for a reseller's account"


def every_check() -> list[Check]:
    """All checks there are, by item: 1 to 6, 7, 8 (1 to 6 for a reseller), 9."""
    found = [check for item in (*WALK, IDENTITY) for check in for_customers(item)]
    found += [check for item in WALK for check in for_resellers(item)]
    return found + for_customers(TERMS)
