"""What every process of the product shares as a pod: settings, logging, signals, metrics and health."""

from __future__ import annotations

from talkdesk_kube.pod.settings import CommaSeparated, PodSettings, SettingsError, read_settings

__all__ = ["CommaSeparated", "PodSettings", "SettingsError", "read_settings"]
