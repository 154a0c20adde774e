"""What the work queue's keys are: a tenant, a TalkdeskApp, or all of one kind together."""

from __future__ import annotations

from dataclasses import dataclass

#: Region of installations whose region could not be resolved (yet): they share no tenant.
UNPLACED = ""


@dataclass(frozen=True, order=True)
class TenantKey:
    """One app in one account of one region: a tenant outlives an installation."""

    app_id: str
    region: str
    account_id: str

    def __str__(self) -> str:
        return f"tenant/{self.app_id}/{self.region or '-'}/{self.account_id}"


@dataclass(frozen=True, order=True)
class AppKey:
    """One TalkdeskApp object, by its name."""

    name: str

    def __str__(self) -> str:
        return f"app/{self.name}"


@dataclass(frozen=True, order=True)
class SweepKey:
    """The credentials' Secrets, all of them."""

    def __str__(self) -> str:
        return "sweep"


@dataclass(frozen=True, order=True)
class KeysKey:
    """The gateway's keys, both Secrets."""

    def __str__(self) -> str:
        return "keys"


@dataclass(frozen=True, order=True)
class RevokeKey:
    """What ends access to one TalkdeskInstallation, by its name. It has a queue of its own: see Workers."""

    name: str

    def __str__(self) -> str:
        return f"revoke/{self.name}"


@dataclass(frozen=True, order=True)
class MailKey:
    """The mails owed about one TalkdeskInstallation, by its name. Their queue is their own: see Workers."""

    name: str

    def __str__(self) -> str:
        return f"mail/{self.name}"


Key = TenantKey | AppKey | SweepKey | KeysKey
