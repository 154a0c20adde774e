"""What every process of the product shares as a pod: settings, logging, signals, metrics and health."""

from __future__ import annotations

from talkdesk_kube.pod.listener import Check, Listener, add_health, add_metrics
from talkdesk_kube.pod.logging import configure_logging
from talkdesk_kube.pod.settings import CommaSeparated, PodSettings, Port, SettingsError, read_settings
from talkdesk_kube.pod.signals import stop_on_signals

__all__ = [
    "Check",
    "CommaSeparated",
    "Listener",
    "PodSettings",
    "Port",
    "SettingsError",
    "add_health",
    "add_metrics",
    "configure_logging",
    "read_settings",
    "stop_on_signals",
]
