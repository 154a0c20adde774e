"""Everything the product says to Kubernetes: requests, watch cache, Lease, Events, and what a pod needs."""

from __future__ import annotations

from talkdesk_kube.client import Kube, Listing, WatchEvent
from talkdesk_kube.connection import KubeSettings, NoConfiguration, Timeouts
from talkdesk_kube.errors import (
    AlreadyExists,
    Cause,
    Conflict,
    Forbidden,
    Gone,
    Invalid,
    KubeError,
    NotFound,
    ServerError,
    Status,
    TooManyRequests,
    Unauthorized,
    Unreachable,
)
from talkdesk_kube.events import EventRecorder, RecorderLimits
from talkdesk_kube.lease import Lease, LeaseLost, LeaseTimings
from talkdesk_kube.reflector import Key, Reflector, ReflectorTimings
from talkdesk_kube.resources import Obj, Resource, UnknownKind, key_of, resource_for, resource_of
from talkdesk_kube.typed import Unreadable, listing, parse, read

__all__ = [
    "AlreadyExists",
    "Cause",
    "Conflict",
    "EventRecorder",
    "Forbidden",
    "Gone",
    "Invalid",
    "Key",
    "Kube",
    "KubeError",
    "KubeSettings",
    "Lease",
    "LeaseLost",
    "LeaseTimings",
    "Listing",
    "NoConfiguration",
    "NotFound",
    "Obj",
    "RecorderLimits",
    "Reflector",
    "ReflectorTimings",
    "Resource",
    "ServerError",
    "Status",
    "Timeouts",
    "TooManyRequests",
    "Unauthorized",
    "UnknownKind",
    "Unreachable",
    "Unreadable",
    "WatchEvent",
    "key_of",
    "listing",
    "parse",
    "read",
    "resource_for",
    "resource_of",
]
