"""How a pod is told to end: SIGTERM once to finish what is in hand, twice to stop now."""

from __future__ import annotations

import asyncio
import os
import signal

import structlog

_log = structlog.get_logger("talkdesk_kube.pod.signals")

SIGNALS = (signal.SIGTERM, signal.SIGINT)


def stop_on_signals() -> asyncio.Event:
    """An event that the first SIGTERM or SIGINT sets; the second kills the process by that very signal.

    To be called in the running loop of the main thread.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def received(number: signal.Signals) -> None:
        if stop.is_set():
            _log.warning("second signal, ending at once", signal=number.name)
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
            return
        _log.info("asked to stop", signal=number.name)
        stop.set()

    for number in SIGNALS:
        loop.add_signal_handler(number, received, number)
    return stop
