"""Who holds a tenant: of all installations of one app in one account, the newest that is installed. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from talkdesk_crds.installation import TalkdeskInstallation


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


def holding(installations: Iterable[TalkdeskInstallation], *, gone: frozenset[str] = frozenset()) -> Holding:
    """Choose the holder by the newest ``installed`` register; equal registers are decided by installation id.

    ``gone`` names installations that Talkdesk itself reports as uninstalled although the event is missing.
    An installation that is still installed always goes before one that is not, whatever their times.
    """
    everyone = sorted(installations, key=lambda item: item.spec.installation_id)
    installed = [item for item in everyone if item.spec.talkdesk.installed is not None]
    if not installed:
        roles = {
            item.metadata.name: Role.UNINSTALLED if _is_gone(item, gone) else Role.AWAITED
            for item in everyone
        }
        return Holding(holder=None, roles=roles)
    holder = max(installed, key=lambda item: (not _is_gone(item, gone), _installed_order(item)))
    roles = {}
    for item in everyone:
        name = item.metadata.name
        if item is holder:
            roles[name] = Role.UNINSTALLED if _is_gone(item, gone) else Role.INCUMBENT
        elif item.spec.talkdesk.installed is None and not _is_gone(item, gone):
            roles[name] = Role.AWAITED
        else:
            roles[name] = Role.SUPERSEDED
    return Holding(holder=holder, roles=roles)


def _is_gone(item: TalkdeskInstallation, gone: frozenset[str]) -> bool:
    return item.spec.talkdesk.is_uninstalled or item.metadata.name in gone


def _installed_order(item: TalkdeskInstallation) -> tuple[str, str]:
    register = item.spec.talkdesk.installed
    # Between installations only the time says which is newer; event ids are unrelated to each other.
    return ((register.at or "") if register else "", item.spec.installation_id)
