"""What is known of one tenant at one moment: between what is watched and what is decided. Pure values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from talkdesk_crds.app import TalkdeskApp
    from talkdesk_crds.installation import TalkdeskInstallation
    from talkdesk_crds.user_slice import LicensedUser


@dataclass(frozen=True)
class Tenancy:
    """One installation with its app and the address of its Service.

    ``user(id)`` is that user's entry in the slices that count (see ``Directory``), or None; it is bound to
    the moment in which the value was made. ``upstream`` is ``ip:port``, None where the Service is missing.
    ``users_known`` is False while the slices have not been read completely.
    """

    installation: TalkdeskInstallation
    app: TalkdeskApp
    host: str
    upstream: str | None
    user: Callable[[str], LicensedUser | None]
    users_known: bool = True

    @property
    def allowed(self) -> bool:
        """``status.access`` says Allowed, no event that the app was uninstalled, no person that it is off."""
        access, spec = self.installation.status.access, self.installation.spec
        ended = spec.suspend or spec.talkdesk.is_uninstalled
        return access is not None and access.state == "Allowed" and not ended

    @property
    def refusal(self) -> str:
        """Why access is refused: a reason constant, also where only an event or a person has said so."""
        spec, access = self.installation.spec, self.installation.status.access
        if spec.talkdesk.is_uninstalled:
            return "Uninstalled"
        if spec.suspend and (access is None or access.state == "Allowed"):
            return "Suspended"
        return access.reason if access is not None else "Unknown"

    @property
    def shows_bar(self) -> bool:
        """The app has a bar, and the account is no reseller's, unless the installation says otherwise."""
        if self.app.spec.bar is None:
            return False
        said = self.installation.spec.show_bar
        return said if said is not None else self.installation.spec.account_id not in self.app.spec.resellers
