"""Kopf, as the operator's outermost layer: it watches the kinds that people write and wakes the queue.

It runs in a thread with a loop of its own, for on its way out it cancels every task of its loop that began
after it. It writes nothing: low-level handlers leave no annotations and no finalizers, posting of Events is
off, and there is no peering (the Lease is ours). What it does not see, the reflectors do, and the other way
round: two watches, one queue.
"""

from __future__ import annotations

import asyncio
import base64
import logging
import threading
from typing import TYPE_CHECKING, Any

import kopf
import structlog

from talkdesk_crds import names
from talkdesk_kube.connection import load_access

if TYPE_CHECKING:
    from collections.abc import Callable

    from talkdesk_kube import KubeSettings
    from talkdesk_kube.access import Access

_log = structlog.get_logger(__name__)

_JOIN_SECONDS = 3.0
#: Kopf tells about each handler, each repeated request (as an error), and that a thread gets no signals.
_QUIET = {
    "kopf": logging.WARNING,
    "kopf._cogs.clients": logging.CRITICAL,
    "kopf._core.reactor.running": logging.ERROR,
}


class KopfEdge:
    """Kopf's thread. ``wake`` is called in it, with (kind, name, resourceVersion) of what changed."""

    def __init__(
        self, *, namespace: str, settings: KubeSettings, wake: Callable[[str, str, str], object]
    ) -> None:
        self._namespace = namespace
        self._settings = settings
        self._wake = wake
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="kopf", daemon=True)

    @property
    def alive(self) -> bool:
        """The thread runs."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Start the thread."""
        for name, level in _QUIET.items():
            logging.getLogger(name).setLevel(level)
        self._thread.start()

    async def stop(self) -> None:
        """Stop watching and wait for the thread's end."""
        self._stop.set()
        if self._thread.is_alive():
            await asyncio.to_thread(self._thread.join, _JOIN_SECONDS)

    def _run(self) -> None:
        try:
            asyncio.run(
                kopf.operator(
                    registry=self._registry(),
                    settings=_settings(),
                    namespaces=[self._namespace],
                    standalone=True,
                    identity=None,
                    stop_flag=self._stop,
                )
            )
        except Exception:  # noqa: BLE001 - logged here, seen by the liveness probe: nobody awaits a thread
            _log.exception("kopf ended")

    def _registry(self) -> kopf.OperatorRegistry:
        registry = kopf.OperatorRegistry()
        settings = self._settings

        @kopf.on.login(registry=registry)
        async def login(**_: Any) -> kopf.ConnectionInfo:
            return await connection_info(await load_access(settings))

        def changed(body: kopf.Body, **_: Any) -> None:
            metadata = body["metadata"]
            self._wake(str(body["kind"]), str(metadata["name"]), str(metadata.get("resourceVersion", "")))

        for plural in ("talkdeskapps", "talkdeskinstallations"):
            kopf.on.event(names.GROUP, names.VERSION, plural, registry=registry)(changed)
        return registry


def _settings() -> kopf.OperatorSettings:
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    settings.posting.level = logging.WARNING
    settings.peering.standalone = True
    settings.scanning.disabled = True
    settings.networking.connect_timeout = 5
    settings.networking.request_timeout = 15
    settings.watching.initial_streaming = False
    settings.process.ultimate_exiting_timeout = None
    return settings


async def connection_info(access: Access) -> kopf.ConnectionInfo:
    """The credentials as Kopf wants them. It asks again after a 401."""
    scheme, _, token = (await access.authorization() or "").rpartition(" ")
    return kopf.ConnectionInfo(
        server=access.host,
        ca_path=access.ca_file,
        ca_data=base64.b64encode(access.ca_data.encode()) if access.ca_data else None,
        insecure=not access.verify,
        scheme=scheme or None,
        token=token or None,
        certificate_path=access.cert_file,
        private_key_path=access.key_file,
    )
