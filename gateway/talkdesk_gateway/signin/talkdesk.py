"""Sign-on at Talkdesk for one installation: where the browser goes, and who came back."""

from __future__ import annotations

import json
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from pydantic import ValidationError

from talkdesk_client import (
    Credentials,
    Hosts,
    InstallationRef,
    TalkdeskError,
    TokenRefused,
    authorize_url,
    pkce_challenge,
    token_url,
)
from talkdesk_crds.credentials_secret import ForeignSecret, credentials_of, text
from talkdesk_gateway.seams import CodeRefusedError, NotAskedError, TalkdeskUnavailableError
from talkdesk_kube import KubeError, NotFound, resources

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pydantic import SecretStr

    from talkdesk_client import TalkdeskClient, UserInfo
    from talkdesk_gateway.tenancy import Tenancy
    from talkdesk_kube import Kube, Obj

_REMEMBERED: Final = 5_000


class CredentialsEndedError(TalkdeskUnavailableError):
    """The set of credentials is gone, or Talkdesk does not take it: another may serve."""


class TalkdeskSignOn:
    """Signs users on by each installation's own credentials, those that ``status.credentials`` names.

    A sign-in under way may name an older set: a code is good with the client alone that asked for it.

    Their Secrets are immutable and named by their content: each is read once.

    :param pkce: what the client's option of that name says.
    """

    def __init__(self, kube: Kube, client: TalkdeskClient, *, namespace: str, pkce: bool = False) -> None:
        self._kube = kube
        self._client = client
        self._namespace = namespace
        self._pkce = pkce
        self._known: OrderedDict[tuple[str, str], tuple[Credentials, dict[str, str]]] = OrderedDict()

    async def authorize_url(
        self, tenancy: Tenancy, *, redirect_uri: str, state: str, nonce: str, verifier: SecretStr
    ) -> str:
        """Where the browser goes. Raises TalkdeskUnavailableError and NotAskedError."""
        credentials, links = await self._credentials(tenancy)
        try:
            return authorize_url(
                hosts_of(tenancy),
                links.get("authorization", ""),
                client_id=credentials.client_id,
                redirect_uri=redirect_uri,
                scopes=scopes(tenancy),
                state=state,
                nonce=nonce,
                code_challenge=pkce_challenge(verifier) if self._pkce else None,
            )
        except TalkdeskError as error:
            raise TalkdeskUnavailableError(str(error)) from None

    async def identify(
        self, tenancy: Tenancy, *, code: SecretStr, redirect_uri: str, verifier: SecretStr
    ) -> UserInfo:
        """Who is signed in. Raises CodeRefusedError, TalkdeskUnavailableError and NotAskedError.

        CredentialsEndedError, where another set than the one that ``tenancy`` names may serve.
        """
        ref = await self._ref(tenancy)
        try:
            token = await self._client.exchange_code(
                ref, code=code, redirect_uri=redirect_uri, code_verifier=verifier if self._pkce else None
            )
            return await self._client.userinfo(ref, token)
        except TokenRefused as refused:
            if refused.code == "invalid_grant":
                raise CodeRefusedError(str(refused)) from None
            raise CredentialsEndedError(str(refused)) from None
        except TalkdeskError as error:
            raise TalkdeskUnavailableError(str(error)) from None

    async def _ref(self, tenancy: Tenancy) -> InstallationRef:
        credentials, links = await self._credentials(tenancy)
        spec = tenancy.installation.spec
        try:
            root, token = links["root"], token_url(links)
        except KeyError as missing:
            raise TalkdeskUnavailableError(f"no event has carried the link {missing.args[0]}") from None
        return InstallationRef(
            app_id=spec.app_id,
            account_id=spec.account_id,
            installation_id=spec.installation_id,
            root=root,
            token_url=token,
            hosts=hosts_of(tenancy),
            credentials=credentials,
        )

    async def _credentials(self, tenancy: Tenancy) -> tuple[Credentials, dict[str, str]]:
        """The credentials in use, and the links: the Secret's, and over them what later events said."""
        installation = tenancy.installation
        name = installation.status.credentials
        if name is None:
            raise TalkdeskUnavailableError("status.credentials names no Secret yet")
        key = (name, installation.spec.installation_id)
        if key not in self._known:
            self._known[key] = _parse(await self._secret(name), tenancy)
            while len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        credentials, links = self._known[key]
        return credentials, links | {
            name: link.href for name, link in installation.spec.talkdesk.links.items()
        }

    async def _secret(self, name: str) -> Obj:
        try:
            return await self._kube.get(resources.SECRETS, name, namespace=self._namespace)
        except NotFound:
            raise CredentialsEndedError(f"Secret {name} is not in namespace {self._namespace}") from None
        except KubeError as error:
            raise NotAskedError(str(error)) from None


def redirect_uri(tenancy: Tenancy, origin: Callable[[str], str]) -> str:
    """Where Talkdesk sends the browser back to: what the installation's app version is registered with.

    By default ``/_td/callback`` at the app's launch host. Pure; TalkdeskUnavailableError without either.
    """
    registered = tenancy.installation.status.sign_in
    if registered is not None and registered.redirect_uri:
        return registered.redirect_uri
    if tenancy.app.spec.launch_host is None:
        raise TalkdeskUnavailableError(
            f"TalkdeskApp {tenancy.app.metadata.name} has no spec.launchHost: nobody can sign in"
        )
    return f"{origin(tenancy.app.spec.launch_host)}/_td/callback"


def scopes(tenancy: Tenancy) -> tuple[str, ...]:
    """``openid``, without which there is no userinfo, and what the app names. Pure."""
    registered = tenancy.installation.status.sign_in
    named = registered.scopes if registered is not None else []
    return tuple(dict.fromkeys(("openid", *named)))


def hosts_of(tenancy: Tenancy) -> Hosts:
    """Talkdesk's hosts in the installation's region. Raises TalkdeskUnavailableError. Pure."""
    name = tenancy.installation.spec.region or ""
    region = tenancy.app.spec.regions.get(name)
    if region is None:
        raise TalkdeskUnavailableError(
            f"TalkdeskApp {tenancy.app.metadata.name} does not list region {name!r}"
        )
    return Hosts(api=region.api, identity=region.identity)


def switch_url(tenancy: Tenancy, path: str) -> str | None:
    """``path`` on the account's identity host, where one signs in as somebody else; None if unknown. Pure."""
    link = tenancy.installation.spec.talkdesk.links.get("authorization")
    try:
        if link is None:
            return None
        return str(hosts_of(tenancy).authorization_url(link.href).copy_with(raw_path=path.encode()))
    except (TalkdeskError, TalkdeskUnavailableError):
        return None


def _parse(secret: Obj, tenancy: Tenancy) -> tuple[Credentials, dict[str, str]]:
    """Credentials and links of a Secret. Raises TalkdeskUnavailableError, which shows no value."""
    try:
        values = credentials_of(secret, tenancy.installation)
        plain = {key: value.get_secret_value() for key, value in values.items()}
        credentials = Credentials.model_validate(plain)
    except ForeignSecret as problem:
        raise TalkdeskUnavailableError(str(problem)) from None
    except ValidationError as problem:
        fields = ", ".join(str(error["loc"][0]) for error in problem.errors(include_input=False))
        name = secret["metadata"]["name"]
        raise TalkdeskUnavailableError(f"Secret {name}: unusable: {fields}") from None
    return credentials, _links(text(secret, "links"))


def _links(listed: str | None) -> dict[str, str]:
    try:
        links: Mapping[str, object] = json.loads(listed or "{}")
        return {name: href for name, href in links.items() if isinstance(href, str)}
    except (ValueError, AttributeError):
        return {}
