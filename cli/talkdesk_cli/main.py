"""``talkdesk-operator``: one command for every process, so that one image serves all of them.

Each command imports what it runs when it runs: the webhook must not pay for the operator's imports, and the
image of the product holds no test programs.
"""

# ruff: noqa: PLC0415 - see above: an import belongs to the command that needs it

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from talkdesk_cli import imports
from talkdesk_cli.sandbox import sandbox

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
app.add_typer(sandbox, name="sandbox")


@app.command()
def webhook() -> None:
    """Receive Talkdesk's signed events (settings: TALKDESK_* variables)."""
    with imports.kept():
        from talkdesk_webhook.main import run
        from talkdesk_webhook.settings import WebhookSettings

    asyncio.run(run(_settings(WebhookSettings)))


@app.command()
def operator() -> None:
    """Reconcile installations into tenants (settings: TALKDESK_* variables)."""
    with imports.kept():
        from talkdesk_operator.main import run
        from talkdesk_operator.settings import OperatorSettings

    asyncio.run(run(_settings(OperatorSettings)))


@app.command()
def envoy_config(
    output: Annotated[Path, typer.Option(help="Where Envoy reads its configuration.", dir_okay=False)],
) -> None:
    """Write Envoy's configuration as JSON (settings: TALKDESK_ENVOY_* variables)."""
    with imports.kept():
        from talkdesk_gateway.envoy import EnvoySettings, write

    try:
        write(_settings(EnvoySettings), output)
    except OSError as problem:
        typer.echo(f"talkdesk-operator: {output}: {problem.strerror}", err=True)
        raise typer.Exit(1) from None


@app.command()
def gateway() -> None:
    """Sign users in and decide on every request (settings: TALKDESK_* variables)."""
    with imports.kept():
        import uvloop

        from talkdesk_gateway.main import run
        from talkdesk_gateway.settings import GatewaySettings

    # Half of what a decision costs is the loop's.
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run(_settings(GatewaySettings)))


@app.command()
def init(
    *,
    name: Annotated[str, typer.Option("--app", help="The app's name: small letters, digits and hyphens.")],
    directory: Annotated[Path, typer.Option(help="Where to write.", file_okay=False)] = Path(),
    title: Annotated[str | None, typer.Option(help="What customers know the app as.")] = None,
    domain: Annotated[
        str | None, typer.Option(help="Customers' tenants live under it. By default <app>.example.com.")
    ] = None,
    image: Annotated[str | None, typer.Option(help="The image of your app.")] = None,
    command: Annotated[
        str | None, typer.Option(help="What runs in its place on this machine. By default python3 <app>.py.")
    ] = None,
    contact: Annotated[str | None, typer.Option(help="The address that customers may write to.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Write over files that are there.")] = False,
) -> None:
    """Begin an app: a TalkdeskApp, values for the chart, and what to enter in Talkdesk's Partner Project."""
    from talkdesk_cli.starter.answers import answers
    from talkdesk_cli.starter.command import init as run

    given = answers(name=name, title=title, domain=domain, image=image, command=command, contact=contact)
    if wrong := given.problems():
        typer.echo("talkdesk-operator: " + "\n  ".join(wrong), err=True)
        raise typer.Exit(2)
    try:
        run(given, directory=directory, force=force, say=typer.echo)
    except OSError as problem:
        typer.echo(f"talkdesk-operator: {problem}", err=True)
        raise typer.Exit(1) from None


@app.command()
def mails(
    manifest: Annotated[Path, typer.Argument(help="A file with a TalkdeskApp.", dir_okay=False)],
    *,
    output: Annotated[
        Path | None, typer.Option(help="Write each mail here, for an invented customer.", file_okay=False)
    ] = None,
) -> None:
    """Check the mail templates of a TalkdeskApp, and see what comes of them."""
    from talkdesk_cli.mails import mails as run

    try:
        well = run(manifest, output=output, say=typer.echo)
    except (OSError, ValueError) as problem:
        typer.echo(
            f"talkdesk-operator: {manifest}: {getattr(problem, 'strerror', None) or problem}", err=True
        )
        raise typer.Exit(2) from None
    raise typer.Exit(0 if well else 1)


@app.command()
def certify(
    *,
    report: Annotated[Path, typer.Option(help="Write the report into this folder.", file_okay=False)],
    item: Annotated[
        list[str] | None, typer.Option(help="Only this item: 1 to 9, or 8.1 to 8.6; may be repeated.")
    ] = None,
    app_name: Annotated[
        str | None, typer.Option("--app", help="The app's name, as users see it (in the sandbox: Callboard).")
    ] = None,
    console: Annotated[
        str | None, typer.Option(help="The console of a sandbox that is up; by default it is found.")
    ] = None,
    reseller: Annotated[
        str, typer.Option(help="In the sandbox: the account of a reseller whom the app knows as one.")
    ] = "meridian",
    url: Annotated[
        str | None, typer.Option(help="A real deployment: the link that the app's icon in Talkdesk opens.")
    ] = None,
    signed_in: Annotated[
        Path | None,
        typer.Option(
            help="With --url: storage of a browser that is signed in to Talkdesk, as Playwright saves it.",
            exists=True,
            dir_okay=False,
        ),
    ] = None,
    user: Annotated[
        str | None, typer.Option(help="With --url: by which name the app shows that user.")
    ] = None,
    account: Annotated[
        str | None, typer.Option(help="With --url: by which name the app shows the account.")
    ] = None,
    bar: Annotated[str | None, typer.Option(help="With --url: a CSS selector of the Talkdesk bar.")] = None,
    headed: Annotated[bool, typer.Option("--headed", help="Show the browser.")] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", help="Tell only of the checks that did not pass.")
    ] = False,
) -> None:
    """Walk Talkdesk's QA checklist in a browser; exit code 1 on any failure (docs/certification.md)."""
    try:
        from talkdesk_certify.run import sections
        from talkdesk_certify.target import Bar, Deployment, Sandbox
        from talkdesk_cli.certify import certify as run
    except ImportError as missing:
        typer.echo(
            f"talkdesk-operator: {missing.name} is missing: pip install 'talkdesk-operator[certify]'",
            err=True,
        )
        raise typer.Exit(1) from None
    try:
        sections(item or [])
    except ValueError as unknown:
        raise typer.BadParameter(str(unknown), param_hint="--item") from None
    if url is None and (signed_in or user or account or bar):
        raise typer.BadParameter("--signed-in, --user, --account and --bar belong to --url")
    target: Sandbox | Deployment
    if url is None:
        target = Sandbox(console=console or "", app=app_name or "Callboard", reseller=reseller)
    elif app_name is None:
        raise typer.BadParameter("a real deployment needs the app's name too", param_hint="--app")
    else:
        known = Bar(selector=bar) if bar else None
        target = Deployment(url=url, app=app_name, state=signed_in, user=user, account=account, bar=known)
    raise typer.Exit(run(target, report=report, items=item or [], headed=headed, quiet=quiet))


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
