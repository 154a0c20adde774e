"""``python -m talkdesk_sandbox.controlplane``: a control plane alone, until Ctrl-C or SIGTERM."""

from __future__ import annotations

import contextlib
import signal
import sys
import time

from talkdesk_sandbox.controlplane.control_plane import ControlPlane
from talkdesk_sandbox.controlplane.errors import ControlPlaneError


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def main() -> int:
    """Start one, print its KUBECONFIG, stay; 1 with a message when it does not start or a program ends."""
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        with contextlib.suppress(KeyboardInterrupt), ControlPlane.start() as plane:
            print(f"export KUBECONFIG={plane.kubeconfig}", flush=True)
            while True:
                plane.check()
                time.sleep(1)
    except ControlPlaneError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
