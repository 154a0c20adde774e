"""A proxy between two parties that can hold, refuse, drop or change what passes: how faults are made.

The product has no switch for failing. What breaks it in tests stands here, between it and the API server,
Talkdesk, or Talkdesk's deliveries.
"""

from talkdesk_sandbox.interceptor.between import before_kubernetes, before_talkdesk, before_webhook
from talkdesk_sandbox.interceptor.exchange import Cut, Exchange, Rule, passing

__all__ = ["Cut", "Exchange", "Rule", "before_kubernetes", "before_talkdesk", "before_webhook", "passing"]
