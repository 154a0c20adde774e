"""Credentials found by label: for an installation whose register names none.

Somebody deletes a TalkdeskInstallation, and the customer is still live: the next event makes the object
again, but only ``app.installed`` carries credentials, once. Their Secret has stayed, and with it the links
of that event.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from talkdesk_crds import names
from talkdesk_crds.credentials_secret import text
from talkdesk_kube import Obj, resources

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from talkdesk_crds.installation import TalkdeskInstallation
    from talkdesk_kube import Kube


@dataclass(frozen=True)
class Found:
    """One Secret with an installation's credentials; ``created_at`` is that of the event they came with.

    ``created_at`` is None where the event had no time that could be read; ``secret`` never shows in ``repr``.
    """

    name: str
    uid: str
    created_at: str | None
    links: Mapping[str, str] = field(default_factory=dict)
    #: Its labels: an installation's object may be gone.
    labels: Mapping[str, str] = field(default_factory=dict)
    secret: Obj = field(default_factory=dict, repr=False, compare=False)


def selector(*, app_id: str, account_id: str, installation_id: str | None = None) -> str:
    """The label selector of an installation's Secrets, or of all those of its app and account."""
    wanted = {names.APP_LABEL: app_id, names.ACCOUNT_LABEL: account_id}
    if installation_id is not None:
        wanted[names.INSTALLATION_LABEL] = installation_id
    return ",".join(f"{label}={names.label_value(identifier)}" for label, identifier in wanted.items())


def found(secret: Obj) -> Found:
    """What ``secret`` says of itself; what it lacks, or what cannot be read, is left out. Pure."""
    metadata = secret["metadata"]
    try:
        links = json.loads(text(secret, "links") or "{}")
    except ValueError:
        links = {}
    return Found(
        name=metadata["name"],
        uid=metadata["uid"],
        created_at=text(secret, "created_at"),
        links={str(name): str(href) for name, href in links.items()} if isinstance(links, dict) else {},
        labels=metadata.get("labels") or {},
        secret=secret,
    )


def newest_first(secrets: Iterable[Obj]) -> list[Found]:
    """``secrets`` by the time of the events they came with; one without a time comes last. Pure."""
    everything = [found(secret) for secret in secrets]
    return sorted(everything, key=lambda one: (one.created_at or "", one.name), reverse=True)


async def search(kube: Kube, namespace: str, installation: TalkdeskInstallation) -> list[Found]:
    """All Secrets with credentials of ``installation`` in ``namespace``, newest first. Raises KubeError."""
    spec = installation.spec
    labels = selector(app_id=spec.app_id, account_id=spec.account_id, installation_id=spec.installation_id)
    listing = await kube.list(resources.SECRETS, namespace=namespace, labels=labels)
    return newest_first(listing.items)
