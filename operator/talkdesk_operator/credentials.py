"""From an installation's registers and its credentials' Secret to something Talkdesk can be called with."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import ValidationError

from talkdesk_client import Credentials, Hosts, InstallationRef, token_url
from talkdesk_crds.conditions import Reason
from talkdesk_crds.credentials_secret import ForeignSecret, credentials_of
from talkdesk_kube import NotFound, Obj, resources
from talkdesk_operator.credentials_search import Found, search

if TYPE_CHECKING:
    from talkdesk_crds.app import TalkdeskApp
    from talkdesk_crds.installation import TalkdeskInstallation
    from talkdesk_kube import Kube

_REMEMBERED = 10_000


@dataclass(frozen=True)
class Unusable:
    """Why Talkdesk cannot be called for this installation."""

    reason: Reason
    message: str
    #: Someone has to do something about it; waiting alone does not help.
    permanent: bool = True


class CredentialStore:
    """Credentials by Secret, read once each: the Secrets are immutable and named by their content."""

    def __init__(self, kube: Kube, namespace: str) -> None:
        self._kube = kube
        self._namespace = namespace
        self._known: OrderedDict[str, Credentials] = OrderedDict()
        self._located: OrderedDict[str, Found] = OrderedDict()

    async def locate(self, installation: TalkdeskInstallation) -> Found | None:
        """The Secret of an installation whose register names none, by its labels. Raises KubeError."""
        key = installation.metadata.uid or installation.metadata.name
        if key not in self._located:
            newest = next(iter(await search(self._kube, self._namespace, installation)), None)
            if newest is None:
                return None
            self._located[key] = newest
            while len(self._located) > _REMEMBERED:
                self._located.popitem(last=False)
        return self._located[key]

    async def others(self, installation: TalkdeskInstallation) -> tuple[str, ...]:
        """All Secrets with credentials of the installation, newest first. Raises KubeError."""
        return tuple(one.name for one in await search(self._kube, self._namespace, installation))

    async def newest(self, installation: TalkdeskInstallation) -> str | None:
        """The Secret with the newest credentials; None where there are none. Raises KubeError."""
        register = installation.spec.talkdesk.credentials
        if register is not None:
            return register.secret
        located = await self.locate(installation)
        return located.name if located is not None else None

    async def ref(
        self, app: TalkdeskApp, installation: TalkdeskInstallation, *, name: str | None = None
    ) -> InstallationRef | Unusable:
        """How to call Talkdesk for ``installation``, by its newest credentials. Raises KubeError.

        Where no event has named credentials since its object was made, they are looked for by label.

        :param name: another Secret than that of the newest ones.
        """
        spec = installation.spec
        register = spec.talkdesk.credentials
        located = await self.locate(installation) if register is None else None
        if register is None and located is None:
            return Unusable(
                Reason.AWAITING_INSTALLED, "no event has carried credentials yet", permanent=False
            )
        region = app.spec.regions.get(spec.region or "")
        if region is None:
            return Unusable(
                Reason.FOREIGN_LINKS,
                f"TalkdeskApp {app.metadata.name} no longer lists region {spec.region}",
            )
        links = dict(located.links) if located is not None else {}
        links |= {name: link.href for name, link in spec.talkdesk.links.items()}
        try:
            root, token = links["root"], token_url(links)
        except KeyError as missing:
            return Unusable(
                Reason.LINKS_MISSING, f"no event has carried the link {missing.args[0]}", permanent=False
            )
        if located is not None and name in (None, located.name):
            credentials = parse(located.secret, installation)
        else:
            wanted = name or (register.secret if register is not None else "")
            credentials = await self._credentials(wanted, installation)
        if isinstance(credentials, Unusable):
            return credentials
        return InstallationRef(
            app_id=spec.app_id,
            account_id=spec.account_id,
            installation_id=spec.installation_id,
            root=root,
            token_url=token,
            hosts=Hosts(api=region.api, identity=region.identity),
            credentials=credentials,
        )

    async def _credentials(self, name: str, installation: TalkdeskInstallation) -> Credentials | Unusable:
        known = self._known.get(name)
        if known is not None:
            return known
        try:
            secret = await self._kube.get(resources.SECRETS, name, namespace=self._namespace)
        except NotFound:
            return Unusable(
                Reason.CREDENTIALS_MISSING, f"Secret {name} is not in namespace {self._namespace}"
            )
        found = parse(secret, installation)
        if isinstance(found, Credentials):
            self._known[name] = found
            while len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        return found


def parse(secret: Obj, installation: TalkdeskInstallation) -> Credentials | Unusable:
    """The credentials in ``secret``, if it is one of this installation's. Never shows a value."""
    try:
        values = credentials_of(secret, installation)
        return Credentials.model_validate({key: value.get_secret_value() for key, value in values.items()})
    except ForeignSecret as problem:
        return Unusable(Reason.CREDENTIALS_INVALID, str(problem))
    except ValidationError as problem:
        fields = ", ".join(str(error["loc"][0]) for error in problem.errors(include_input=False))
        name = secret["metadata"]["name"]
        return Unusable(Reason.CREDENTIALS_INVALID, f"Secret {name}: unusable: {fields}")
