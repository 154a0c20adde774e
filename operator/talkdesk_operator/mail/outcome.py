"""What a customer's admin is told about: how an installation, an update or an uninstallation ended."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from talkdesk_crds.email import MailTemplate, MailTemplates

Request = Literal["install", "update", "uninstall"]


class Outcome(StrEnum):
    """By their names in ``spec.email.templates``."""

    INSTALLED = "installed"
    INSTALL_FAILED = "installFailed"
    UPDATED = "updated"
    UPDATE_FAILED = "updateFailed"
    UNINSTALLED = "uninstalled"
    UNINSTALL_FAILED = "uninstallFailed"

    @property
    def succeeded(self) -> bool:
        """The request was fulfilled."""
        return self in (Outcome.INSTALLED, Outcome.UPDATED, Outcome.UNINSTALLED)

    @property
    def request(self) -> Request:
        """What was asked for."""
        return _REQUESTS[self]

    def template(self, templates: MailTemplates) -> MailTemplate | None:
        """The app's own words for it."""
        found: MailTemplate | None = getattr(templates, _FIELDS[self])
        return found


def outcome(request: Request, *, succeeded: bool) -> Outcome:
    """How ``request`` ended."""
    return next(one for one in Outcome if one.request == request and one.succeeded == succeeded)


_REQUESTS: dict[Outcome, Request] = {
    Outcome.INSTALLED: "install",
    Outcome.INSTALL_FAILED: "install",
    Outcome.UPDATED: "update",
    Outcome.UPDATE_FAILED: "update",
    Outcome.UNINSTALLED: "uninstall",
    Outcome.UNINSTALL_FAILED: "uninstall",
}
_FIELDS = {
    Outcome.INSTALLED: "installed",
    Outcome.INSTALL_FAILED: "install_failed",
    Outcome.UPDATED: "updated",
    Outcome.UPDATE_FAILED: "update_failed",
    Outcome.UNINSTALLED: "uninstalled",
    Outcome.UNINSTALL_FAILED: "uninstall_failed",
}
