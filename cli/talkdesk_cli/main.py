"""``talkdesk-operator``: one command for every process, so that one image serves all of them.

Each command imports what it runs when it runs: the webhook must not pay for the operator's imports, and the
image of the product holds no test programs.
"""

# ruff: noqa: PLC0415 - see above: an import belongs to the command that needs it

from __future__ import annotations

import asyncio
from pathlib import Path  # noqa: TC003 - typer reads the annotations when it runs
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

if TYPE_CHECKING:
    from pydantic_settings import BaseSettings

S = TypeVar("S", bound="BaseSettings")

app = typer.Typer(
    name="talkdesk-operator",
    help="Runs Talkdesk AppConnect apps on Kubernetes.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
controlplane = typer.Typer(help="The local control plane: real etcd, kube-apiserver, controller manager.")
app.add_typer(controlplane, name="controlplane")


@app.command()
def webhook() -> None:
    """Receive Talkdesk's signed events (settings: TALKDESK_* variables)."""
    from talkdesk_webhook.main import run
    from talkdesk_webhook.settings import WebhookSettings

    asyncio.run(run(_settings(WebhookSettings)))


@app.command()
def operator() -> None:
    """Reconcile installations into tenants (settings: TALKDESK_* variables)."""
    from talkdesk_operator.main import run
    from talkdesk_operator.settings import OperatorSettings

    asyncio.run(run(_settings(OperatorSettings)))


@app.command()
def envoy_config(
    output: Annotated[Path, typer.Option(help="Where Envoy reads its configuration.", dir_okay=False)],
) -> None:
    """Write Envoy's configuration as JSON (settings: TALKDESK_ENVOY_* variables)."""
    from talkdesk_gateway.envoy import EnvoySettings, write

    try:
        write(_settings(EnvoySettings), output)
    except OSError as problem:
        typer.echo(f"talkdesk-operator: {output}: {problem.strerror}", err=True)
        raise typer.Exit(1) from None


@app.command()
def gateway() -> None:
    """Sign users in and decide on every request (settings: TALKDESK_* variables)."""
    from talkdesk_gateway.main import run
    from talkdesk_gateway.settings import GatewaySettings

    asyncio.run(run(_settings(GatewaySettings)))


@app.command()
def sandbox(
    *,
    once: Annotated[bool, typer.Option("--once", help="Play the story, report, end.")] = False,
    report: Annotated[
        Path | None, typer.Option(help="Write the story's steps to this file, as JSON.", dir_okay=False)
    ] = None,
    switch: Annotated[
        list[str] | None,
        typer.Option(help="NAME=VALUE: how the Talkdesk stand-in treats what Talkdesk does not document."),
    ] = None,
    patience: Annotated[
        float, typer.Option(help="Seconds that each effect of the story may take.", min=0.1)
    ] = 30.0,
    installs: Annotated[
        int, typer.Option(help="After the story, time so many more installs from event to approval.", min=0)
    ] = 0,
) -> None:
    """The whole marketplace on this machine: a real control plane, the chart, a Talkdesk stand-in."""
    from talkdesk_sandbox.command import sandbox as run

    chosen = {}
    for pair in switch or []:
        name, equals, value = pair.partition("=")
        if not equals:
            raise typer.BadParameter(f"{pair!r} is not NAME=VALUE", param_hint="--switch")
        chosen[name] = value
    raise typer.Exit(run(once=once, report=report, switches=chosen, patience=patience, installs=installs))


@controlplane.command()
def build() -> None:
    """Build the control plane's programs into the per-user cache, unless they are there."""
    from talkdesk_sandbox.controlplane import build as run

    try:
        typer.echo(f"control plane programs: {run(lambda line: typer.echo(line, err=True))}")
    except RuntimeError as problem:
        typer.echo(f"talkdesk-operator: {problem}", err=True)
        raise typer.Exit(1) from None


def _settings(kind: type[S]) -> S:
    """Settings from the environment; a wrong or missing variable is named, without its value."""
    from talkdesk_kube.pod.settings import SettingsError, read_settings

    try:
        return read_settings(kind)
    except SettingsError as problem:
        typer.echo(f"talkdesk-operator: {problem}", err=True)
        raise typer.Exit(2) from None


if __name__ == "__main__":
    app()
