"""What the parts of the gateway expect of one another. Whoever decides or signs in knows these alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic import SecretStr

    from talkdesk_client import UserInfo
    from talkdesk_crds.app import TalkdeskApp
    from talkdesk_crds.key_ring import Key
    from talkdesk_gateway.tenancy import Tenancy


class Directory(Protocol):
    """What is known of all installations at this moment. Look-ups take no time and cause no request."""

    @property
    def fresh(self) -> bool:
        """Kubernetes was heard from within the stated time; what is known may be acted on."""

    def by_host(self, host: str) -> Tenancy | None:
        """The tenancy whose ``status.host`` is ``host`` (lower case, no port): the incumbent's."""

    def by_installation(self, installation_id: str) -> Tenancy | None:
        """The installation with Talkdesk's ``installation_id``, if its app is known.

        Also one that is not provisioned yet: its ``host`` is "".
        """

    def app_at(self, launch_host: str) -> TalkdeskApp | None:
        """The app whose launch host this is (lower case, no port); of several the oldest."""

    def app_of(self, host: str) -> TalkdeskApp | None:
        """The app that ``host`` (lower case, no port) belongs to, also where nobody lives there.

        It is a tenant's host, a launch host, or below the app's base domain.
        """

    def subscribe(self, name: str, changed: Callable[[], None]) -> Callable[[], None]:
        """Call ``changed`` soon after anything of the installation ``name`` changed; the result ends it.

        ``name`` is the object's; it need not exist yet.
        """


class Keys(Protocol):
    """The gateway's own keys, oldest first; none until they have been read."""

    def session_keys(self) -> tuple[Key, ...]:
        """Seal and open states, tickets and cookies."""

    def identity_keys(self) -> tuple[Key, ...]:
        """Sign who a request comes from."""

    def subscribe(self, changed: Callable[[], None]) -> Callable[[], None]:
        """Call ``changed`` soon after the session keys changed; the result ends it."""


class NotAskedError(Exception):
    """Kubernetes could not be asked, or did not answer in time; the message is for the log."""


class Lookup(Protocol):
    """Has Talkdesk's list of users read again, for a user that nobody knows yet."""

    async def look(self, tenancy: Tenancy, user_id: str) -> Tenancy:
        """The tenancy as it is after one look.

        Many users at once cost one look. Raises NotAskedError, also where it is not over in time.
        """


class SignOut(Protocol):
    """Ends all sessions of a user in an installation."""

    async def sign_out(self, tenancy: Tenancy, user_id: str, cause: str) -> None:
        """Create the TalkdeskRevocation. Raises NotAskedError.

        The same ``cause`` (at most 256 characters) twice is one.
        """


class CodeRefusedError(Exception):
    """Talkdesk does not take the code: used before, too old, or another client's."""


class TalkdeskUnavailableError(Exception):
    """Talkdesk could not say who the user is; the message is for the log, never a secret."""


class Talkdesk(Protocol):
    """Sign-on at Talkdesk, by the installation's own credentials."""

    async def authorize_url(
        self, tenancy: Tenancy, *, redirect_uri: str, state: str, nonce: str, verifier: SecretStr
    ) -> str:
        """Where the browser goes; ``verifier`` counts where PKCE is on. Raises TalkdeskUnavailableError."""

    async def identify(
        self, tenancy: Tenancy, *, code: SecretStr, redirect_uri: str, verifier: SecretStr
    ) -> UserInfo:
        """Who is signed in. Raises CodeRefusedError and TalkdeskUnavailableError."""
