"""Condition types and their reasons: constants in one place, documented in ``docs/conditions.md``.

A reason is an API: people write alerts on it. Add here and in that table; a test holds the two together.
"""

from __future__ import annotations

from typing import Final

# Condition types of a TalkdeskInstallation.
APP_KNOWN: Final = "AppKnown"
CREDENTIALS_VALID: Final = "CredentialsValid"
TENANT_READY: Final = "TenantReady"
USERS_SYNCED: Final = "UsersSynced"
CONFIRMED: Final = "Confirmed"
READY: Final = "Ready"

# Condition types of a TalkdeskApp.
ACCEPTED: Final = "Accepted"
