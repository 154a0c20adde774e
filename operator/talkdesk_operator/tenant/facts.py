"""What is known of a tenant that no object of the cluster says: account, plan and trial, as last read.

Kept in the tenant's inventory, so that a restart, or Talkdesk's absence, changes no tenant.
"""

from __future__ import annotations

from talkdesk_crds.meta import Model


class AccountFacts(Model):
    """The account, as Talkdesk's Accounts API describes it; ``name`` is its subdomain and may change."""

    name: str | None = None
    company_name: str | None = None
    email: str | None = None
    timezone: str | None = None


class TrialFacts(Model):
    """The trial, as last read; times are Talkdesk's."""

    state: str | None = None
    started_at: str | None = None
    expires_at: str | None = None
    ended_at: str | None = None
    ended_reason: str | None = None
    subscription_name: str | None = None


class Facts(Model):
    """All of it, with the ids that a tenant's name cannot be turned back into."""

    app_id: str
    region: str
    account_id: str
    installation_id: str
    account: AccountFacts = AccountFacts()
    plan: str | None = None
    #: ``trial`` or ``paid``.
    subscription_type: str | None = None
    app_version: str | None = None
    trial: TrialFacts | None = None
