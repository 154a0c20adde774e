"""``python -m talkdesk_sandbox.node``: the local node as a process."""

from __future__ import annotations

import argparse
import asyncio
import fcntl
import json
import logging
import os
import signal
import sys
import time
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

import structlog
import yaml

from talkdesk_kube import Kube, KubeError, KubeSettings, NoConfiguration
from talkdesk_sandbox.controlplane.network import Network
from talkdesk_sandbox.node.agent import Agent
from talkdesk_sandbox.node.backoff import Backoff
from talkdesk_sandbox.node.guard import start_guard
from talkdesk_sandbox.node.images import Images
from talkdesk_sandbox.node.records import private_write
from talkdesk_sandbox.node.timings import Timings

_LOCK_SECONDS = 10.0
_PROBLEM = 2


def arguments() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m talkdesk_sandbox.node", description=__doc__)
    parser.add_argument("--kubeconfig", type=Path, required=True, help="kubeconfig of an administrator")
    parser.add_argument("--network", type=Path, required=True, help="the control plane's network file (JSON)")
    parser.add_argument("--images", type=Path, required=True, help='JSON: {"<image>": {"command": [...]}}')
    parser.add_argument("--dir", type=Path, required=True, help="folder for volumes, logs and records; kept")
    defaults = Timings()
    for option, default, meaning in (
        ("restart-base", defaults.restart.base, "first wait before a container runs again"),
        ("restart-cap", defaults.restart.cap, "longest such wait"),
        ("restart-reset", defaults.restart.reset, "a container that ran so long starts over"),
        ("shutdown-grace", defaults.shutdown_grace, "what pods get when the node is stopped"),
        ("token-renewal", defaults.token_renewal, "part (0-1) of a token's life after which it is replaced"),
    ):
        parser.add_argument(
            f"--{option}", type=float, default=default, help=f"{meaning} (default {default:g})"
        )
    return parser


def _locked(folder: Path) -> IO[str]:
    """Hold the folder for one node; waits for an earlier node's guard to finish. Raises TimeoutError."""
    lock = (folder / "lock").open("w")
    deadline = time.monotonic() + _LOCK_SECONDS
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise TimeoutError(
                    f"{folder} is in use by another node: stop it, or choose another --dir"
                ) from None
            time.sleep(0.05)
        else:
            return lock


def _without_threads() -> None:
    """Wait for children by pidfd, as Python 3.12 does by itself: forking beside threads can deadlock."""
    if sys.version_info < (3, 12):
        asyncio.get_event_loop_policy().set_child_watcher(asyncio.PidfdChildWatcher())


def _network(path: Path) -> Network:
    """Raises ValueError naming the file."""
    try:
        return Network.read(path)
    except ValueError as error:
        raise ValueError(f"{path}: not a network file: {error}") from error


async def _serve(options: argparse.Namespace, timings: Timings) -> None:
    url = yaml.safe_load(options.kubeconfig.read_text())["clusters"][0]["cluster"]["server"]
    address = urlsplit(url)
    settings = KubeSettings(kubeconfig=options.kubeconfig)
    async with await Kube.connect(settings, user_agent="talkdesk-sandbox-node") as kube:
        agent = Agent(
            kube,
            network=_network(options.network),
            images=Images(options.images),
            folder=options.dir,
            timings=timings,
            api_server=(url, address.hostname or "127.0.0.1", address.port or 443),
        )
        loop = asyncio.get_running_loop()
        for each in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(each, agent.stop)
        serving = asyncio.create_task(agent.serve())
        ready = asyncio.create_task(agent.ready.wait())
        await asyncio.wait([serving, ready], return_when=asyncio.FIRST_COMPLETED)
        if ready.done():
            private_write(options.dir / "ready.json", json.dumps({"pid": os.getpid()}).encode())
        ready.cancel()
        await serving


def main() -> int:
    """Run until SIGTERM or SIGINT; 2 where it cannot."""
    options = arguments().parse_args()
    if sys.platform != "linux":
        print(
            "the local node needs Linux: pods listen on addresses of 127.0.0.0/8, and die with the node",
            file=sys.stderr,
        )
        return _PROBLEM
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.INFO))
    os.umask(0o077)
    options.dir = options.dir.absolute()
    options.dir.mkdir(parents=True, exist_ok=True)
    restart = Backoff(options.restart_base, options.restart_cap, options.restart_reset)
    timings = Timings(
        restart=restart, shutdown_grace=options.shutdown_grace, token_renewal=options.token_renewal
    )
    try:
        with _locked(options.dir):
            (options.dir / "ready.json").unlink(missing_ok=True)
            guard, pipe = start_guard(options.dir)
            _without_threads()
            try:
                asyncio.run(_serve(options, timings))
            finally:
                os.close(pipe)
                os.waitpid(guard, 0)
    except (KubeError, NoConfiguration, OSError, ValueError) as error:
        print(f"the local node cannot run: {error}", file=sys.stderr)
        return _PROBLEM
    return 0


if __name__ == "__main__":
    sys.exit(main())
