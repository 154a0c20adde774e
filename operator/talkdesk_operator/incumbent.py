"""Who holds a tenant: of all installations of one app in one account, the newest that is installed. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from talkdesk_crds.installation import TalkdeskInstallation


_NOBODY: Mapping[str, str] = MappingProxyType({})


class Role(Enum):
    """What an installation is to the tenant."""

    #: Holds the tenant and is installed.
    INCUMBENT = "Incumbent"
    #: Held the tenant last; uninstalled since.
    UNINSTALLED = "Uninstalled"
    #: A newer installation holds the tenant.
    SUPERSEDED = "Superseded"
    #: Nothing says yet that it was installed.
    AWAITED = "Awaited"


@dataclass(frozen=True)
class Holding:
    """Who holds the tenant, and what everybody else is. ``holder`` is None where nobody ever installed."""

    holder: TalkdeskInstallation | None
    roles: Mapping[str, Role] = field(default_factory=dict)


def holding(
    installations: Iterable[TalkdeskInstallation],
    *,
    gone: frozenset[str] = frozenset(),
    live: Mapping[str, str] = _NOBODY,
) -> Holding:
    """Choose the holder by the newest ``installed`` register; equal registers are decided by installation id.

    ``gone`` names installations that Talkdesk itself reports as uninstalled although the event is missing;
    ``live`` those that it knows although no installed register says so, for their object was deleted and made
    again by a later event; the value stands in for the register's time ("" where it is not known).
    An installation that is still installed always goes before one that is not, whatever their times.
    """
    everyone = sorted(installations, key=lambda item: item.spec.installation_id)
    installed = [
        item for item in everyone if item.spec.talkdesk.installed is not None or item.metadata.name in live
    ]
    if not installed:
        roles = {
            item.metadata.name: Role.UNINSTALLED if _is_gone(item, gone) else Role.AWAITED
            for item in everyone
        }
        return Holding(holder=None, roles=roles)
    holder = max(installed, key=lambda item: (not _is_gone(item, gone), _installed_order(item, live)))
    roles = {}
    for item in everyone:
        name = item.metadata.name
        if item is holder:
            roles[name] = Role.UNINSTALLED if _is_gone(item, gone) else Role.INCUMBENT
        elif item not in installed and not _is_gone(item, gone):
            roles[name] = Role.AWAITED
        else:
            roles[name] = Role.SUPERSEDED
    return Holding(holder=holder, roles=roles)


def _is_gone(item: TalkdeskInstallation, gone: frozenset[str]) -> bool:
    return item.spec.talkdesk.is_uninstalled or item.metadata.name in gone


def _installed_order(item: TalkdeskInstallation, live: Mapping[str, str]) -> tuple[str, str]:
    register = item.spec.talkdesk.installed
    # Between installations only the time says which is newer; event ids are unrelated to each other.
    at = (register.at or "") if register is not None else live.get(item.metadata.name, "")
    return (at, item.spec.installation_id)
