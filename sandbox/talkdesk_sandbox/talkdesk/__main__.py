"""``python -m talkdesk_sandbox.talkdesk``: run the stand-in until SIGTERM or SIGINT."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from talkdesk_sandbox.console.console import Console
from talkdesk_sandbox.talkdesk.hosts import region_table
from talkdesk_sandbox.talkdesk.parent import end_with
from talkdesk_sandbox.talkdesk.platform import Talkdesk
from talkdesk_sandbox.talkdesk.server import serve
from talkdesk_sandbox.talkdesk.switches import Switches, parse_switch

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


def main(arguments: list[str] | None = None) -> None:
    """Parse the command line and serve; one JSON line on standard output says where."""
    parser = argparse.ArgumentParser(prog="talkdesk_sandbox.talkdesk", description="The Talkdesk stand-in.")
    parser.add_argument("--dir", type=Path, required=True, help="folder for the CA's certificate")
    parser.add_argument("--control-port", type=int, default=0, help="0: any free one")
    parser.add_argument(
        "--switch", action="append", default=[], metavar="NAME=VALUE", help="an undocumented behaviour"
    )
    parser.add_argument("--kubeconfig", type=Path, help="the cluster that the console shows")
    parser.add_argument("--namespace", default="talkdesk-system", help="the operator's, for the console")
    parser.add_argument("--parent", type=int, help="end when this process, the starter, does")
    chosen = parser.parse_args(arguments)
    if chosen.parent is not None:
        end_with(chosen.parent)
    try:
        switches = Switches.model_validate(dict(parse_switch(text) for text in chosen.switch))
    except ValidationError as wrong:
        told = "; ".join(f"{error['loc'][0]}: {error['msg']}" for error in wrong.errors())
        parser.error(f"argument --switch: {told}")
    except ValueError as wrong:
        parser.error(f"argument --switch: {wrong}")
    chosen.dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        asyncio.run(_serve(switches, chosen))
    except OSError as failed:
        sys.exit(f"the Talkdesk stand-in cannot start: {failed}")


async def _serve(switches: Switches, chosen: argparse.Namespace) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    talkdesk = Talkdesk(switches=switches)
    async with (
        _console(talkdesk, kubeconfig=chosen.kubeconfig, namespace=chosen.namespace) as console,
        serve(talkdesk, directory=chosen.dir, control_port=chosen.control_port, console=console) as where,
    ):
        ready = {
            "control": where.control,
            "smtp": where.smtp,
            "proxy": where.proxy,
            "browser": where.browser,
            "console": where.console,
            "ca_file": str(where.ca_file),
            "regions": region_table(),
        }
        print(json.dumps(ready), flush=True)
        await stopped.wait()


@contextlib.asynccontextmanager
async def _console(talkdesk: Talkdesk, *, kubeconfig: Path | None, namespace: str) -> AsyncIterator[Console]:
    """The console, with the cluster of ``kubeconfig`` where one is given."""
    if kubeconfig is None:
        yield Console(talkdesk=talkdesk)
        return
    # Only where it is needed: the Kubernetes library takes half a second to import.
    from talkdesk_kube.pod import configure_logging  # noqa: PLC0415
    from talkdesk_sandbox.console.cluster import watching  # noqa: PLC0415

    configure_logging(level="warning", format="text")  # standard output has the line that says where
    async with watching(kubeconfig, namespace=namespace, ledger=talkdesk.ledger) as cluster:
        yield Console(talkdesk=talkdesk, snapshot=cluster.snapshot, kubeconfig=str(kubeconfig))


if __name__ == "__main__":
    main()
