"""Customers beside the story's own: one in each region, and a reseller, for whoever looks around."""

from __future__ import annotations

from typing import TYPE_CHECKING

from talkdesk_kube import resources as kinds

if TYPE_CHECKING:
    from collections.abc import Mapping

    from talkdesk_sandbox.story.marketplace import Marketplace
    from talkdesk_sandbox.story.script import Story

_PEOPLE = ("Ada Lovelace", "Ben Novak", "Cleo Marsh", "Dan Okafor")
#: Name, region, whether it is a reseller. Ada has the same address in each: nobody is known by theirs.
NEIGHBOURS = (("northwind", "us", False), ("lumiere", "ca", False), ("meridian", "eu", True))
_SHARED = "ada@northwind.example"


async def move_in(story: Story, *, app_name: str = "demo") -> dict[str, str]:
    """Make the accounts and their users, and tell the TalkdeskApp who is a reseller: account ids by name."""
    ids = await neighbours(story.marketplace)
    cluster = story.cluster
    spec = {"spec": {"resellers": resellers(ids)}}
    await cluster.kube.merge_patch(kinds.APPS, app_name, spec, namespace=cluster.namespace)
    return ids


def resellers(ids: Mapping[str, str]) -> list[str]:
    """The ids of those that are resellers."""
    return [ids[name] for name, _, reseller in NEIGHBOURS if reseller]


async def neighbours(marketplace: Marketplace) -> dict[str, str]:
    """Make the accounts and their users: account ids by name."""
    ids = {}
    for name, region, reseller in NEIGHBOURS:
        account = await marketplace.post(
            "/control/accounts", {"name": name, "region": region, "reseller": reseller}
        )
        ids[name] = str(account["id"])
        for person in _PEOPLE:
            address = _SHARED if person == _PEOPLE[0] else f"{person.split()[0].lower()}@{name}.example"
            await marketplace.post(
                f"/control/accounts/{account['id']}/users", {"name": person, "email": address}
            )
    return ids
