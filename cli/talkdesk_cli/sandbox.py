"""``talkdesk-operator sandbox``: the marketplace on this machine, and what is done in it from a terminal."""

# ruff: noqa: PLC0415 - an import belongs to the command that needs it, see talkdesk_cli.main

from __future__ import annotations

import shlex
from pathlib import Path  # noqa: TC003 - typer reads the annotations when it runs
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from talkdesk_sandbox.customer.acts import Customer
    from talkdesk_sandbox.node.images import Image

    Act = Callable[[Customer], Awaitable[bool]]

sandbox = typer.Typer(invoke_without_command=True)

Account = Annotated[str, typer.Argument(help="The customer's account, e.g. northwind.")]


@sandbox.callback()
def start(
    context: typer.Context,
    *,
    app: Annotated[
        Path | None,
        typer.Option(help="Your own app: a file with its TalkdeskApp. By default the demo.", dir_okay=False),
    ] = None,
    image: Annotated[
        list[str] | None,
        typer.Option(help="NAME=COMMAND: with --app, what runs here for an image; may be repeated."),
    ] = None,
    images: Annotated[
        Path | None,
        typer.Option(help="With --app: a YAML file with such images, name: command.", dir_okay=False),
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="Play the demo's story, report, end.")] = False,
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
    if context.invoked_subcommand is not None:
        return
    switches = {}
    for pair in switch or []:
        name, equals, value = pair.partition("=")
        if not equals:
            raise typer.BadParameter(f"{pair!r} is not NAME=VALUE", param_hint="--switch")
        switches[name] = value
    if app is None:
        if image or images:
            raise typer.BadParameter("--image and --images belong to --app")
        from talkdesk_sandbox.command import sandbox as play

        played = play(once=once, report=report, switches=switches, patience=patience, installs=installs)
        raise typer.Exit(played)
    if once or report or installs:
        raise typer.BadParameter("--once, --report and --installs are the demo's; to check an app: certify")
    from talkdesk_sandbox.partner.command import sandbox_with

    raise typer.Exit(sandbox_with(app, images=_images(image or [], images), switches=switches))


def _images(pairs: list[str], file: Path | None) -> dict[str, Image]:
    """``--images`` and, over it, ``--image``. Raises typer.BadParameter."""
    from talkdesk_sandbox.partner.images import listed, named

    try:
        found = listed(file) if file is not None else {}
    except (OSError, ValueError) as problem:
        told = getattr(problem, "strerror", None) or problem
        raise typer.BadParameter(f"{file}: {told}", param_hint="--images") from None
    try:
        return {**found, **dict(named(pair) for pair in pairs)}
    except ValueError as problem:
        raise typer.BadParameter(str(problem), param_hint="--image") from None


@sandbox.command()
def apply(
    manifest: Annotated[Path, typer.Argument(help="The changed file with your TalkdeskApp.", dir_okay=False)],
) -> None:
    """Apply your app again where the sandbox is up, and wait until every tenant has it."""
    from talkdesk_sandbox.partner.command import apply as run

    raise typer.Exit(run(manifest, say=typer.echo))


@sandbox.command()
def install(
    account: Account,
    *,
    plan: Annotated[str | None, typer.Option(help="A plan's name; by default the app's first.")] = None,
    user: Annotated[
        list[str] | None,
        typer.Option(help="For whom, by name or e-mail; the first installs. By default everybody."),
    ] = None,
) -> None:
    """A customer installs the app; exit code 0 when it was approved."""

    async def what(customer: Customer) -> bool:
        return await customer.install(plan=plan, people=user or [])

    _act(account, what)


@sandbox.command("open")
def open_(
    account: Account,
    *,
    user: Annotated[
        str | None, typer.Option(help="Who, by name or e-mail; by default who installed the app.")
    ] = None,
) -> None:
    """Somebody clicks the app's icon in Talkdesk; tells what they see."""

    async def what(customer: Customer) -> bool:
        await customer.open(who=user)
        return True

    _act(account, what)


@sandbox.command()
def end_trial(account: Account) -> None:
    """Talkdesk ends a customer's trial."""

    async def what(customer: Customer) -> bool:
        await customer.end_trial()
        return True

    _act(account, what)


@sandbox.command()
def env() -> None:
    """What a shell needs in the sandbox, for kubectl and (TALKDESK_CONTROL) the stand-in's control API.

    Use it as eval "$(talkdesk-operator sandbox env)".
    """
    from talkdesk_sandbox.partner.command import up_now

    try:
        up = up_now()
    except ValueError as problem:
        typer.echo(f"talkdesk-operator sandbox: {problem}", err=True)
        raise typer.Exit(1) from None
    typer.echo(f"export KUBECONFIG={shlex.quote(up.kubeconfig)}")
    typer.echo(f'export PATH={shlex.quote(up.programs)}:"$PATH"')
    typer.echo(f"export TALKDESK_CONTROL={shlex.quote(up.control)}")


def _act(account: str, what: Act) -> None:
    from talkdesk_sandbox.customer.command import act

    raise typer.Exit(act(account, what, say=typer.echo))
