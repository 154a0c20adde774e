"""Envoy's configuration: one process in front of everything, which asks the gateway about every request."""

from talkdesk_gateway.envoy.bootstrap import config, write
from talkdesk_gateway.envoy.settings import EnvoySettings

__all__ = ["EnvoySettings", "config", "write"]
