"""Condition types and their reasons: constants in one place, documented in ``docs/conditions.md``.

A reason is an API: people write alerts on it. Add here and in that table; a test holds the two together.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

# Condition types of a TalkdeskInstallation.
APP_KNOWN: Final = "AppKnown"
CREDENTIALS_VALID: Final = "CredentialsValid"
PLAN_KNOWN: Final = "PlanKnown"
TENANT_READY: Final = "TenantReady"
USERS_SYNCED: Final = "UsersSynced"
CONFIRMED: Final = "Confirmed"
NOTIFIED: Final = "Notified"
READY: Final = "Ready"

INSTALLATION_CONDITIONS: Final = (
    APP_KNOWN,
    CREDENTIALS_VALID,
    PLAN_KNOWN,
    TENANT_READY,
    USERS_SYNCED,
    CONFIRMED,
    NOTIFIED,
    READY,
)

# Condition types of a TalkdeskApp.
ACCEPTED: Final = "Accepted"
ROLLED_OUT: Final = "RolledOut"
STEADY: Final = "Steady"
MAIL_TEMPLATES_VALID: Final = "MailTemplatesValid"

APP_CONDITIONS: Final = (ACCEPTED, ROLLED_OUT, STEADY, MAIL_TEMPLATES_VALID)


class Reason(StrEnum):
    """Why a condition, or ``status.access``, is as it is."""

    # Any condition that nothing could be said about yet.
    NOT_CHECKED = "NotChecked"
    # AppKnown
    APP_FOUND = "AppFound"
    APP_UNKNOWN = "AppUnknown"
    # CredentialsValid
    CREDENTIALS_ACCEPTED = "CredentialsAccepted"
    AWAITING_INSTALLED = "AwaitingInstalled"
    CREDENTIALS_MISSING = "CredentialsMissing"
    CREDENTIALS_INVALID = "CredentialsInvalid"
    CREDENTIALS_SPREADING = "CredentialsSpreading"
    ACCESS_BLOCKED = "AccessBlocked"
    CREDENTIALS_REFUSED = "CredentialsRefused"
    CREDENTIALS_REVOKED = "CredentialsRevoked"
    LINKS_MISSING = "LinksMissing"
    FOREIGN_LINKS = "ForeignLinks"
    # PlanKnown
    PLAN_FOUND = "PlanFound"
    ONE_PLAN_FOR_ALL = "OnePlanForAll"
    PLAN_UNKNOWN = "PlanUnknown"
    NO_SUBSCRIPTION = "NoSubscription"
    # TenantReady
    NAMESPACE_READY = "NamespaceReady"
    WORKLOAD_READY = "WorkloadReady"
    WORKLOAD_NOT_READY = "WorkloadNotReady"
    WORKLOAD_FAILED = "WorkloadFailed"
    PROBE_FAILING = "ProbeFailing"
    TEMPLATE_INVALID = "TemplateInvalid"
    PLAN_DOES_NOT_FIT = "PlanDoesNotFit"
    CHANGE_REFUSED = "ChangeRefused"
    APPLY_FAILED = "ApplyFailed"
    APPLY_RETRYING = "ApplyRetrying"
    SOURCE_MISSING = "SourceMissing"
    SAMPLE_DATA_RUNNING = "SampleDataRunning"
    SAMPLE_DATA_FAILED = "SampleDataFailed"
    AWAITING_ACCOUNT = "AwaitingAccount"
    AWAITING_REVISION = "AwaitingRevision"
    REVISION_MISSING = "RevisionMissing"
    # UsersSynced
    USERS_LISTED = "UsersListed"
    LIST_FAILED = "ListFailed"
    USERS_UNUSABLE = "UsersUnusable"
    ROLES_REFUSED = "RolesRefused"
    ROLES_UNKNOWN = "RolesUnknown"
    # Confirmed
    APPROVED = "Approved"
    REJECTED = "Rejected"
    UPDATE_REJECTED = "UpdateRejected"
    NOTHING_PENDING = "NothingPending"
    UNINSTALL_APPROVED = "UninstallApproved"
    WAITING_FOR_TENANT = "WaitingForTenant"
    WAITING_FOR_USERS = "WaitingForUsers"
    WAITING_FOR_ACCESS = "WaitingForAccess"
    WAITING_FOR_PERSON = "WaitingForPerson"
    WAITING_FOR_EVENT = "WaitingForEvent"
    WAITING_FOR_TALKDESK = "WaitingForTalkdesk"
    ANSWER_FAILED = "AnswerFailed"
    ENDED_BY_TALKDESK = "EndedByTalkdesk"
    TALKDESK_UNREACHABLE = "TalkdeskUnreachable"
    TALKDESK_REFUSES = "TalkdeskRefuses"
    # Notified
    MAIL_SENT = "MailSent"
    NOTHING_TO_TELL = "NothingToTell"
    MAILS_NOT_CONFIGURED = "MailsNotConfigured"
    MAILS_SWITCHED_OFF = "MailsSwitchedOff"
    MAIL_OWED = "MailOwed"
    MAIL_RETRYING = "MailRetrying"
    MAIL_REFUSED = "MailRefused"
    MAIL_GIVEN_UP = "MailGivenUp"
    NOBODY_TO_WRITE_TO = "NobodyToWriteTo"
    # Ready, status.access, and whatever they stop
    INSTALLATION_READY = "InstallationReady"
    INSTALLING = "Installing"
    UNINSTALLED = "Uninstalled"
    SUSPENDED = "Suspended"
    TRIAL_ENDED = "TrialEnded"
    SUPERSEDED = "Superseded"
    SUSPENDED_BY_TALKDESK = "SuspendedByTalkdesk"
    REVOKED_BY_TALKDESK = "RevokedByTalkdesk"
    UNKNOWN_TO_TALKDESK = "UnknownToTalkdesk"
    ACCESS_ENDING = "AccessEnding"
    BRAKE_HOLDS = "BrakeHolds"
    USERS_VANISHED = "UsersVanished"
    PAUSED = "Paused"
    # Accepted, of a TalkdeskApp
    APP_ACCEPTED = "AppAccepted"
    DUPLICATE_APP_ID = "DuplicateAppId"
    DUPLICATE_LAUNCH_HOST = "DuplicateLaunchHost"
    UNREADABLE = "Unreadable"
    # RolledOut, of a TalkdeskApp
    ROLLED_OUT = "RolledOut"
    ROLLING_OUT = "RollingOut"
    ROLLOUT_STALLED = "RolloutStalled"
    # Steady, of a TalkdeskApp
    NOTHING_HELD = "NothingHeld"
    # MailTemplatesValid, of a TalkdeskApp
    MAIL_TEMPLATES_ACCEPTED = "MailTemplatesAccepted"
    MAIL_TEMPLATE_INVALID = "MailTemplateInvalid"
