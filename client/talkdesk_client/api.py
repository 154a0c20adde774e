"""The calls of Talkdesk's Apps, Accounts, Events, OAuth and SCIM APIs that the product makes.

Sources: https://docs.talkdesk.com/reference/ (``appsapp_idinstallationsid`` and its siblings, ``account``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Self

from talkdesk_client.answers import is_empty, unexpected, validated
from talkdesk_client.clock import Clock
from talkdesk_client.errors import Conflict, NoUser, TalkdeskError, TokenRefused, UnusableInput
from talkdesk_client.hosts import gateway_url, under
from talkdesk_client.listing import list_users
from talkdesk_client.models import Account, Installation, SignatureKey, State, Subscription, Trial, User
from talkdesk_client.options import ClientOptions
from talkdesk_client.scim import ScimUser, list_scim_users
from talkdesk_client.session import Call, Session
from talkdesk_client.sign_on import UserInfo, UserToken

if TYPE_CHECKING:
    import httpx
    from pydantic import SecretStr

    from talkdesk_client.credentials import InstallationRef
    from talkdesk_client.wire import Answer

_ACKNOWLEDGED = "acknowledged"


class TalkdeskClient:
    """Talkdesk, as one process of ours calls it; shared by all installations.

    Reads and token requests are repeated within ``options.retry_budget``; a change is sent once (twice only
    where a stale token was refused with 401, which changes nothing). Every method raises subclasses of
    :class:`talkdesk_client.TalkdeskError` and nothing else. ``http`` belongs to the caller; closing this
    client only ends token requests under way.
    """

    def __init__(
        self, http: httpx.AsyncClient, options: ClientOptions | None = None, *, clock: Clock | None = None
    ) -> None:
        self._options = options or ClientOptions()
        self._session = Session(http, self._options, clock or Clock())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Cancels token requests under way."""
        await self._session.aclose()

    async def account(self, ref: InstallationRef) -> Account:
        """``GET /account``."""
        url = under(ref.hosts.root_url(ref.root), "account")
        call = Call(method="GET", url=url)
        return validated(
            Account, await self._session.authorized(ref, call, scope=self._options.account_read_scope)
        )

    async def installation(self, ref: InstallationRef) -> Installation:
        """``GET /apps/{app_id}/installations/{id}``. UnexpectedAnswer when it is another installation's."""
        answer = await self._read(ref)
        installation = validated(Installation, answer)
        if installation.id != ref.installation_id:
            raise unexpected(answer, "another installation's record")
        return installation

    async def users(self, ref: InstallationRef) -> tuple[User, ...]:
        """``GET …/users``, all pages: the licensed users, each id once, in Talkdesk's order.

        UnexpectedAnswer when the listing has no end, is longer than the options allow, or is not whole.
        """

        async def page(url: httpx.URL) -> Answer:
            call = Call(method="GET", url=url)
            return await self._session.authorized(ref, call, scope=self._options.apps_read_scope)

        return await list_users(page, first=_url(ref, "users"), hosts=ref.hosts, options=self._options)

    async def subscription(self, ref: InstallationRef) -> Subscription:
        """``GET …/subscription``."""
        return validated(Subscription, await self._read(ref, "subscription"))

    async def trial(self, ref: InstallationRef) -> Trial | None:
        """``GET …/trial``; None when the installation has no trial, in any form the options name."""
        try:
            answer = await self._read(ref, "trial")
        except TalkdeskError as error:
            if isinstance(error, TokenRefused) or error.status not in self._options.no_trial_statuses:
                raise
            return None
        if is_empty(answer):
            return None
        trial = validated(Trial, answer)
        return None if trial.state in self._options.no_trial_states else trial

    async def answer(
        self, ref: InstallationRef, answer: Literal["approve", "reject"], reason: str | None = None
    ) -> State:
        """``POST …/state``: answers what is pending; the state Talkdesk then reports.

        Never repeated. With ``outcome_unknown`` on the error, and after Conflict, read the installation
        before answering again.
        """
        body = {"state": answer} | ({"reason": _encodable(reason)} if reason else {})
        call = Call(
            method="POST",
            url=_url(ref, "state"),
            body=body,
            means=dict.fromkeys(self._options.answer_conflict_statuses, Conflict),
        )
        return validated(
            State, await self._session.authorized(ref, call, scope=self._options.apps_write_scope)
        )

    async def rotate(self, ref: InstallationRef) -> None:
        """``POST …/credentials/actions/rotate``: asks for new credentials; they come as an event."""
        call = Call(method="POST", url=_url(ref, "credentials", "actions", "rotate"))
        await self._session.authorized(ref, call, scope=self._options.apps_write_scope)

    async def acknowledge(self, ref: InstallationRef) -> State:
        """``POST …/credentials/{client_id}/state``: those of ``ref`` are in use; the old may end.

        Called with the new credentials, about themselves, which proves that they work.
        """
        url = _url(ref, "credentials", ref.credentials.client_id, "state")
        call = Call(method="POST", url=url, body={"state": _ACKNOWLEDGED})
        answer = await self._session.authorized(ref, call, scope=self._options.apps_write_scope)
        return State(state=_ACKNOWLEDGED) if is_empty(answer) else validated(State, answer)

    async def signature_key(self, gateway: str, key_id: str) -> SignatureKey:
        """``GET {gateway}/events/signature-keys/{key_id}``, without authentication.

        ``gateway`` is a configured base URL (https, any port), never one out of an event. NotFound for a key
        it does not know; UnusableInput for an id that cannot be one.
        """
        url = under(gateway_url(gateway), "events", "signature-keys", key_id)
        answer = await self._session.anonymous(Call(method="GET", url=url))
        key = validated(SignatureKey, answer)
        if key.key_id != key_id:
            raise unexpected(answer, "another key")
        return key

    async def exchange_code(
        self,
        ref: InstallationRef,
        *,
        code: SecretStr,
        redirect_uri: str,
        code_verifier: SecretStr | None = None,
    ) -> UserToken:
        """``POST`` to the token endpoint, ``grant_type=authorization_code``: the user's token.

        ``redirect_uri`` is the one the code was asked for with; ``code_verifier`` is given where
        ``options.pkce`` is on, and only there (else UnusableInput). Sent once, for a code works once:
        TokenRefused (``code`` ``invalid_grant``) for one that was used, has expired or is another client's.
        """
        if self._options.pkce is (code_verifier is None):
            raise UnusableInput("a code_verifier is given where the option pkce is on, and only there")
        answer = await self._session.exchanged(
            ref,
            fields={"grant_type": "authorization_code", "redirect_uri": redirect_uri},
            hidden={"code": code} | ({"code_verifier": code_verifier} if code_verifier else {}),
        )
        return validated(UserToken, answer)

    async def userinfo(self, ref: InstallationRef, token: UserToken) -> UserInfo:
        """``GET {root}/users/me``: whom ``token`` speaks for; the proof of who signed on.

        NoUser when it speaks for nobody, Unauthorized when it has expired.
        """
        call = Call(method="GET", url=under(ref.hosts.root_url(ref.root), "users", "me"), means={400: NoUser})
        return validated(UserInfo, await self._session.as_user(ref, call, token=token.access_token))

    async def scim_roles(self, ref: InstallationRef) -> tuple[ScimUser, ...]:
        """``GET {root}/scim/v2/Users``, all pages: the account's users with their Talkdesk roles.

        Licensed or not. UnexpectedAnswer when the listing has no end or is not whole.
        """

        async def page(url: httpx.URL) -> Answer:
            call = Call(method="GET", url=url)
            return await self._session.authorized(ref, call, scope=self._options.scim_scope)

        first = under(ref.hosts.root_url(ref.root), "scim", "v2", "Users")
        return await list_scim_users(page, first=first, options=self._options)

    async def _read(self, ref: InstallationRef, *below: str) -> Answer:
        call = Call(method="GET", url=_url(ref, *below))
        return await self._session.authorized(ref, call, scope=self._options.apps_read_scope)


def _url(ref: InstallationRef, *below: str) -> httpx.URL:
    """Of the installation, or of something below it; checked against the host table."""
    root = ref.hosts.root_url(ref.root)
    return under(root, "apps", ref.app_id, "installations", ref.installation_id, *below)


def _encodable(text: str) -> str:
    """``text`` without what UTF-8 has no bytes for (lone surrogates)."""
    return text.encode("utf-8", "replace").decode("utf-8")
