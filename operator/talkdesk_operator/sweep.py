"""Credentials, and revocations, that nobody needs any more. Pure.

*Superseded*: the installation's newest set is in use, Talkdesk knows it, and this is another that was there
before it; one that came later may be the next, whose event is still being stored. *Unclaimed*:
no installation and no tenant is there for it. Where anything is in doubt a Secret stays, for Talkdesk never
sends a key twice; so does one that another release stored, of whose customers nothing is known here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from talkdesk_crds import names
from talkdesk_crds.meta import parse_time
from talkdesk_operator.rotation import owes_acknowledgement

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from collections.abc import Set as AbstractSet
    from datetime import datetime, timedelta

    from talkdesk_crds.installation import TalkdeskInstallation
    from talkdesk_crds.revocation import TalkdeskRevocation

#: App, account and installation, as labels have them.
Owner = tuple[str, str, str]


@dataclass(frozen=True)
class Kept:
    """A Secret with credentials, without its content."""

    name: str
    uid: str
    owner: Owner
    created: datetime
    #: Whose webhook stored it, for releases may share the namespace; None where it does not say.
    release: str | None = None


@dataclass(frozen=True)
class Superfluous:
    """One to delete; ``installation`` is whose it was, None where there is none any more."""

    secret: Kept
    why: Literal["superseded", "unclaimed"]
    installation: TalkdeskInstallation | None = None


@dataclass(frozen=True)
class Ages:
    """How old a Secret must be: a younger one may belong to an event that is being stored at this moment."""

    superseded: timedelta
    unclaimed: timedelta


def owner_of(installation: TalkdeskInstallation) -> Owner:
    """The labels of the installation's Secrets."""
    spec = installation.spec
    app, account, own = (
        names.label_value(one) for one in (spec.app_id, spec.account_id, spec.installation_id)
    )
    return (app, account, own)


def superfluous(
    secrets: Iterable[Kept],
    installations: Iterable[TalkdeskInstallation],
    *,
    release: str,
    apps: AbstractSet[str],
    tenants: AbstractSet[tuple[str, str]],
    ages: Ages,
    now: datetime,
) -> list[Superfluous]:
    """What to delete.

    :param release: this one's id: what another one stored is never deleted.
    :param apps: labels of the apps that are declared here. What does not say who stored it is unclaimed only
        where it belongs to one of them.
    :param tenants: labels (app, account) of the tenants there are: their retention deletes what is theirs.
    """
    everything = list(secrets)
    there = {one.name: one for one in everything}
    owners = {owner_of(one): one for one in installations}
    found: list[Superfluous] = []
    for secret in everything:
        installation, age = owners.get(secret.owner), now - secret.created
        app, account, _ = secret.owner
        if secret.release not in (None, release):
            continue
        if installation is not None:
            newest = _outdone_by(secret, installation, there)
            if newest is None:
                continue
            # Kubernetes' times are whole seconds: of two in one second either may be the later one.
            if age >= (ages.superseded if secret.created < newest.created else ages.unclaimed):
                found.append(Superfluous(secret, "superseded", installation))
        elif (app in apps or secret.release) and (app, account) not in tenants and age >= ages.unclaimed:
            found.append(Superfluous(secret, "unclaimed"))
    return found


def unclaimed_revocations(
    revocations: Iterable[TalkdeskRevocation],
    installations: Iterable[TalkdeskInstallation],
    *,
    tenants: AbstractSet[tuple[str, str]],
    age: timedelta,
    now: datetime,
) -> list[TalkdeskRevocation]:
    """Those at least ``age`` old that are about an installation which is not there.

    Whoever comes back later comes with a list of users that was read after it. ``tenants`` as above.
    """
    there = {_whose(one) for one in installations}
    found = []
    for one in revocations:
        created = one.metadata.creation_timestamp
        app, account, _ = (names.label_value(part) for part in _whose(one))
        old = created is not None and now - parse_time(created) >= age
        if old and _whose(one) not in there and (app, account) not in tenants:
            found.append(one)
    return found


def _whose(one: TalkdeskInstallation | TalkdeskRevocation) -> Owner:
    return (one.spec.app_id, one.spec.account_id, one.spec.installation_id)


def _outdone_by(secret: Kept, installation: TalkdeskInstallation, there: Mapping[str, Kept]) -> Kept | None:
    """The newest set, where it is in use, known to Talkdesk, and another than ``secret``."""
    register, in_use = installation.spec.talkdesk.credentials, installation.status.credentials
    if register is None or in_use != register.secret or owes_acknowledgement(installation):
        return None
    return there.get(register.secret) if secret.name != register.secret else None
