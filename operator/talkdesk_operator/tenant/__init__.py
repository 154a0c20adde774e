"""The objects a tenant is made of: one module for each managed kind, and their list. Pure."""

from __future__ import annotations

from talkdesk_operator.tenant.desired import Desired, desired
from talkdesk_operator.tenant.facts import AccountFacts, Facts
from talkdesk_operator.tenant.identity import Release, Tenant
from talkdesk_operator.tenant.making import Making, making

__all__ = ["AccountFacts", "Desired", "Facts", "Making", "Release", "Tenant", "desired", "making"]
