"""What can happen, by name. Importing the modules fills the table."""

from __future__ import annotations

from turmoil.actions import customers, directed, faults, platform
from turmoil.actions.table import ACTIONS, DIRECTED, Action

__all__ = ["ACTIONS", "DIRECTED", "Action", "customers", "directed", "faults", "platform"]
