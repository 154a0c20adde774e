"""The Talkdesk bar on top of a tenant's pages.

Envoy puts one script element into each document (``bar.lua``, in ``talkdesk_gateway.envoy``), whose script is
rendered here; it loads the bar that the app names. ``docs/bar.md`` tells what an app's developer should know.
"""

from talkdesk_gateway.bar.loader import bar_script
from talkdesk_gateway.bar.policy import csp_sources

__all__ = ["bar_script", "csp_sources"]
