"""Customers beside the story's own: one in each region, and a reseller, for whoever looks around."""

from __future__ import annotations

from typing import TYPE_CHECKING

from talkdesk_kube import resources as kinds

if TYPE_CHECKING:
    from talkdesk_sandbox.story.script import Story

_PEOPLE = ("Ada Lovelace", "Ben Novak", "Cleo Marsh", "Dan Okafor")
#: Name, region, whether it is a reseller. Ada has the same address in each: nobody is known by theirs.
NEIGHBOURS = (("northwind", "us", False), ("lumiere", "ca", False), ("meridian", "eu", True))
_SHARED = "ada@northwind.example"


async def move_in(story: Story, *, app_name: str = "demo") -> dict[str, str]:
    """Make the accounts and their users, and tell the TalkdeskApp who is a reseller: account ids by name."""
    ids = {}
    for name, region, reseller in NEIGHBOURS:
        account = await story.marketplace.post(
            "/control/accounts", {"name": name, "region": region, "reseller": reseller}
        )
        ids[name] = str(account["id"])
        for person in _PEOPLE:
            address = _SHARED if person == _PEOPLE[0] else f"{person.split()[0].lower()}@{name}.example"
            await story.marketplace.post(
                f"/control/accounts/{account['id']}/users", {"name": person, "email": address}
            )
        if reseller:
            cluster = story.cluster
            spec = {"spec": {"resellers": [account["id"]]}}
            await cluster.kube.merge_patch(kinds.APPS, app_name, spec, namespace=cluster.namespace)
    return ids
