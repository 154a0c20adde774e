"""An operator (and the webhook before it) under the chart's service accounts, and a marketplace."""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import time
import warnings
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from aiosmtpd.smtp import SMTP, AuthResult

from talkdesk_crds import names
from talkdesk_kube import Kube, KubeSettings, NotFound, resources
from talkdesk_sandbox.environment import demo_app
from talkdesk_sandbox.plain import plain
from talkdesk_sandbox.release import WITHOUT_PODS, Release
from talkdesk_sandbox.story.marketplace import Marketplace
from talkdesk_sandbox.story.observe import Looks
from talkdesk_sandbox.supervised import Supervised
from talkdesk_sandbox.talkdesk import StandIn

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
    from pathlib import Path

    import httpx

    from talkdesk_kube import Obj
    from talkdesk_sandbox.controlplane import ControlPlane

PLAN = "Free trial"
#: Longer than anything that the settings below repeat while something is pending; seconds.
QUIET_SECONDS = 2.5


async def _eventually(look: Callable[[], Awaitable[Any]], *, within: float = 90.0) -> Any:
    """The first truthy answer of ``look``; what is not there yet (404, a false assertion) counts as no."""
    looks = Looks(within=within, least=0.02)
    problem: Exception | None = None
    while True:
        try:
            if found := await look():
                return found
            problem = None
        except (NotFound, AssertionError, KeyError) as error:
            problem = error
        if not await looks.again():
            raise AssertionError(f"not so within {within:g} s: {problem or look}")


@dataclass
class Installed:
    """One installation, as the stand-in knows it."""

    id: str
    account: str
    users: list[str]

    @property
    def name(self) -> str:
        """Its object's name."""
        return names.installation_name(self.id)


@dataclass
class World:
    """A release with one webhook and one or more operators, a stand-in, and an app."""

    plane: ControlPlane
    kube: Kube
    release: Release
    stand_in: StandIn
    control: httpx.AsyncClient
    folder: Path
    stack: contextlib.AsyncExitStack
    #: Of the app that was declared last.
    app: str = ""
    app_id: str = ""
    webhook: Supervised | None = None
    operators: list[Supervised] = field(default_factory=list)
    customers: int = 0

    def __post_init__(self) -> None:
        self.marketplace = Marketplace(self.control)

    def settings(self, **more: str) -> dict[str, str]:
        return {
            "TALKDESK_EGRESS_PROXY": self.stand_in.proxy,
            "TALKDESK_CA_FILE": str(self.stand_in.ca_file),
            "TALKDESK_GATEWAYS": ",".join(f"https://{r['api']}" for r in self.stand_in.regions.values()),
            "TALKDESK_PENDING_RESYNC_SECONDS": "1",
            "TALKDESK_BRAKE_SECONDS": "1",
            "TALKDESK_EVENT_SECONDS": "5",
            "TALKDESK_ACKNOWLEDGE_SECONDS": "1",
            **more,
        }

    async def start(self, *, operators: int = 1, **settings: str) -> None:
        """Webhook and operators, ready."""
        enter = self.stack.enter_async_context
        log = self.folder / "webhook.log"
        self.webhook = await enter(Supervised.webhook(self.release, self.settings(), log=log))
        for number in range(operators):
            await self.operator(number, **settings)
        for process in (self.webhook, *self.operators):
            await process.ready()

    async def operator(self, number: int = 0, **settings: str) -> Supervised:
        own = self.settings(TALKDESK_POD_NAME=f"operator-{number}", **settings)
        log = self.folder / f"operator-{number}.log"
        process = await self.stack.enter_async_context(Supervised.operator(self.release, own, log=log))
        self.operators.append(process)
        return process

    async def post(self, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        answer = await self.control.post(path, json=body or {})
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found

    @contextlib.asynccontextmanager
    async def switched(self, **switches: Any) -> AsyncIterator[None]:
        """The stand-in's switches, for a while."""
        before = (await self.control.get("/control/switches")).json()
        (await self.control.patch("/control/switches", json=switches)).raise_for_status()
        try:
            yield
        finally:
            kept = {name: before[name] for name in switches}
            (await self.control.patch("/control/switches", json=kept)).raise_for_status()

    async def spoil(self, tenant: str, text: str) -> None:
        """Change fields of the tenant's Service that are the operator's, and one that is somebody else's."""
        patch = {"metadata": {"annotations": {"someone": text}}, "spec": {"selector": {"app": text}}}
        await self.kube.merge_patch(
            resources.SERVICES, "demo", patch, namespace=tenant, field_manager="someone"
        )

    async def mended(self, tenant: str) -> bool:
        """What was the operator's is again as it was."""
        service = await self.kube.get(resources.SERVICES, "demo", namespace=tenant)
        return bool(service["spec"]["selector"] == {"app": "demo"})

    async def declare(self, **spec: Any) -> Obj:
        """Another app at Talkdesk and its TalkdeskApp; ``spec`` over the demo's, gate NamespaceReady."""
        assert self.webhook is not None
        app = await self.post(
            "/control/apps",
            {
                "name": "Demo",
                "events_url": f"{self.webhook.url}/events",
                "launch_url": "https://launch.demo.localhost/",
                "redirect_uris": ["https://launch.demo.localhost/callback"],
                "scopes": ["openid", "account:read", "users:read", "apps:read", "apps:write"],
                "plans": [{"name": PLAN, "type": "trial", "license_type": "individual", "price": 0}],
            },
        )
        self.app_id = app["id"]
        self.app = f"app-{self.app_id[:8]}"
        declared = demo_app(app_id=self.app_id, regions=self.stand_in.regions)
        declared["metadata"] |= {"name": self.app, "namespace": self.release.namespace}
        # Two apps of a release do not share one.
        declared["spec"]["launchHost"] = f"launch-{self.app_id[:8]}.demo.localhost"
        declared["spec"]["approval"] = {"gate": "NamespaceReady"}
        declared["spec"] |= spec
        return await self.kube.apply(declared, field_manager="test")

    async def install(
        self,
        *,
        users: int = 2,
        account: str | None = None,
        people: list[str] | None = None,
        plan: str = PLAN,
        region: str = "eu",
    ) -> Installed:
        """A customer installs the app (a new one, in ``region``, unless ``account`` is given)."""
        if account is None:
            self.customers += 1
            name = f"c{self.customers}-{self.app_id[:8]}"
            account = (await self.post("/control/accounts", {"name": name, "region": region}))["id"]
            people = await self.people(account, range(users))
        assert people
        answer = await self.post(
            "/control/install",
            {
                "app_id": self.app_id,
                "account_id": account,
                "plan": plan,
                "users": people,
                "created_by": people[0],
            },
        )
        return Installed(answer["installation_id"], account, people)

    async def people(self, account: str, numbers: range) -> list[str]:
        """New users of an account, by their numbers; their ids."""
        return await self.marketplace.people(account, numbers, domain=f"{account}.example")

    async def person(self, account: str, number: int) -> str:
        (made,) = await self.people(account, range(number, number + 1))
        return made

    async def ledger(self) -> list[dict[str, Any]]:
        """All that is in the stand-in's ledger so far."""
        return list(await self.marketplace.read())

    def writes(self, since: int, *, tenant: str | None = None) -> list[str]:
        """Verb, resource and name of what operators wrote since that place of the audit log, but for Leases.

        With ``tenant`` only what is in its namespace, and the namespace itself.
        """
        found = []
        for entry in self.plane.audit(since=since):
            what = entry.get("objectRef") or {}
            if (
                entry["user"]["username"] == self.release.user("operator")
                and entry["verb"] in {"create", "update", "patch", "delete", "deletecollection"}
                and what.get("resource") not in ("leases", "selfsubjectaccessreviews")
                and tenant in (None, what.get("namespace"), what.get("name"))
            ):
                found.append(f"{entry['verb']} {what.get('resource')} {what.get('name')}")
        return found

    async def quiet(self) -> None:
        """Talkdesk has heard and said nothing, and operators have written nothing, for a while.

        An approval is not the end: the trial begins after it, and is read and told to the tenant.
        """
        since, deadline = len(await self.ledger()), time.monotonic() + 90
        while True:
            position = self.plane.audit_position()
            query = {"since": since, "wait": QUIET_SECONDS}
            page = (await self.control.get("/control/ledger", params=query)).json()
            written = self.writes(position)
            if not page["entries"] and not written:
                return
            assert time.monotonic() < deadline, f"it goes on: {written[-5:]}, {page['entries'][-5:]}"
            since = page["next"]

    async def approvals(self, installed: Installed, answer: str = "approve") -> list[dict[str, Any]]:
        """What Talkdesk took as effective answers for the installation."""
        return [
            entry
            for entry in await self.ledger()
            if entry["kind"] == "transition"
            and entry.get("installation_id") == installed.id
            and entry["detail"].get("effective")
            and entry["detail"].get("answer") == answer
        ]

    async def approved(self, installed: Installed, number: int = 1, *, within: float = 90.0) -> None:
        async def look() -> bool:
            return len(await self.approvals(installed)) >= number

        await _eventually(look, within=within)
        assert len(await self.approvals(installed)) == number

    async def installation(self, installed: Installed) -> Obj:
        return await self.kube.get(resources.INSTALLATIONS, installed.name, namespace=self.release.namespace)

    async def annotate(self, installed: Installed, **annotations: str | None) -> None:
        """Annotations of ours by what follows the group (``resync="now"``); None takes one away."""
        ours = {f"{names.GROUP}/{name}": value for name, value in annotations.items()}
        await self.kube.merge_patch(
            resources.INSTALLATIONS,
            installed.name,
            {"metadata": {"annotations": ours}},
            namespace=self.release.namespace,
        )

    async def settled(self, **spec: Any) -> Installed:
        """An installation of an app of its own, of which everything is told: also its trial's beginning."""
        await self.declare(**spec)
        installed = await self.install()
        await self.approved(installed)
        await self.condition(installed, "Ready", "True")
        await self.quiet()
        return installed

    async def condition(
        self, installed: Installed, kind: str, status: str, reason: str | None = None, *, within: float = 90.0
    ) -> dict[str, Any]:
        """The condition, once it is so."""
        seen: Any = None

        async def look() -> dict[str, Any] | None:
            nonlocal seen
            stored = await self.installation(installed)
            seen = (stored.get("status") or {}).get("conditions") or []
            for one in seen:
                fits = one["type"] == kind and one["status"] == status
                if fits and (reason is None or one["reason"] == reason):
                    return dict(one)
            return None

        try:
            found: dict[str, Any] = await _eventually(look, within=within)
        except AssertionError:
            raise AssertionError(f"{kind} is not {status} {reason or ''}: {seen}") from None
        return found

    async def tenant(self, installed: Installed) -> str:
        """The tenant's namespace."""
        stored = await self.installation(installed)
        return names.tenant_name(
            self.release.namespace,
            self.release.name,
            app_id=self.app_id,
            region=stored["spec"]["region"],
            account_id=installed.account,
        )

    async def licensed(self, installed: Installed) -> dict[str, dict[str, Any]]:
        """Everyone in the installation's slices of the generation that status names."""
        stored = await self.installation(installed)
        buckets = stored["status"]["users"]["buckets"]
        found = await self.kube.list(resources.USER_SLICES, namespace=self.release.namespace)
        mine = [
            one["spec"]
            for one in found.items
            if one["spec"]["installation"] == installed.name and one["spec"]["buckets"] == buckets
        ]
        assert len(mine) == buckets
        return {user: entry for one in mine for user, entry in (one.get("users") or {}).items()}

    async def passes(self, number: int = 0) -> float:
        """How many passes over tenants the operator has ended; in a shared world also of neighbours."""
        text = (await self.control.get(f"{self.operators[number].url}/metrics")).text
        return sum(
            float(line.rpartition(" ")[2])
            for line in text.splitlines()
            if line.startswith("talkdesk_reconcile_seconds_count") and 'kind="tenant"' in line
        )

    async def restarted(self, number: int = 0) -> bool:
        """The operator that was killed is ready again."""
        process = self.operators[number]
        if process.starts < 2:
            return False
        await process.ready()
        return True

    def mailing(self, host: str, port: int, **more: str) -> dict[str, str]:
        """Settings of an operator that sends mail by that server."""
        return {
            "TALKDESK_SMTP_HOST": host,
            "TALKDESK_SMTP_PORT": str(port),
            "TALKDESK_SMTP_TLS": "none",
            "TALKDESK_SMTP_FROM": "apps@example.com",
            "TALKDESK_MAIL_RETRY_SECONDS": "0.2",
            **more,
        }

    async def admin(self, installed: Installed) -> str:
        """The address of who installed."""
        state = (await self.control.get("/control/state")).json()
        found: str = next(user["email"] for user in state["users"] if user["id"] == installed.users[0])
        return found

    async def mail_record(self, installed: Installed) -> list[dict[str, Any]]:
        """The mails that the operator keeps a record of."""
        stored = await self.installation(installed)
        found: list[dict[str, Any]] = json.loads(stored["metadata"]["annotations"][names.MAILS_ANNOTATION])
        return found

    async def mails(self, to: str) -> list[dict[str, Any]]:
        """What the stand-in's mailbox has for an address, oldest first."""
        page = (await self.control.get("/control/mails")).json()
        return [mail for mail in page["mails"] if to in mail["to"]]

    def audit(self, installed: Installed, *, users: bool = False) -> list[dict[str, Any]]:
        """The lines of the audit log about the installation, or about its users."""
        lines = (json.loads(line) for line in self.logs().splitlines() if '"talkdesk.audit"' in line)
        return [one for one in lines if one["installation"] == installed.name and ("user" in one) == users]

    async def told(self, installed: Installed, reason: str) -> dict[str, Any]:
        """The one line of the audit log with that reason: written a moment after the change was stored."""

        async def look() -> list[dict[str, Any]]:
            return [one for one in self.audit(installed) if one["reason"] == reason]

        (line,) = await _eventually(look)
        found: dict[str, Any] = line
        return found

    def logs(self) -> str:
        return "".join(path.read_text() for path in sorted(self.folder.glob("operator-*.log")))


@dataclass
class MailServer:
    """A real SMTP server; ``kept`` are the messages it took, ``answer`` what it says to the next ones.

    :ivar tls: ``none``, ``starttls`` (and nothing without it) or ``implicit``.
    :ivar login: the user name and password without which nothing is taken.
    :ivar refused: answers to RCPT, by address.
    :ivar arrived: is called for each message before it is answered.
    """

    tls: str = "none"
    context: ssl.SSLContext | None = None
    login: tuple[str, str] | None = None
    answer: str = "250 taken"
    refused: dict[str, str] = field(default_factory=dict)
    arrived: Callable[[], Awaitable[None]] | None = None
    kept: list[Any] = field(default_factory=list)
    port: int = 0

    async def handle_RCPT(self, _server: Any, _session: Any, envelope: Any, address: str, _: Any) -> str:  # noqa: N802
        if address in self.refused:
            return self.refused[address]
        envelope.rcpt_tos.append(address)
        return "250 ok"

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802
        if self.answer.startswith("250"):
            self.kept.append(message_from_bytes(envelope.content, policy=policy.default))
        if self.arrived is not None:
            await self.arrived()
        return self.answer

    def _known(self, _server: Any, _session: Any, _envelope: Any, _mechanism: str, data: Any) -> AuthResult:
        assert self.login is not None
        said = (data.login.decode(), data.password.decode())
        return AuthResult(success=said == self.login, handled=False)

    def _server(self) -> SMTP:
        options: dict[str, Any] = {"hostname": "mail.test", "loop": asyncio.get_running_loop()}
        if self.tls == "starttls":
            options |= {"tls_context": self.context, "require_starttls": True}
        if self.login is not None:
            options |= {"auth_required": True, "authenticator": self._known}
            options |= {"auth_require_tls": self.tls == "starttls"}
        with warnings.catch_warnings():
            # It does not know that TLS comes before it where that is implicit.
            warnings.simplefilter("ignore")
            return SMTP(self, **options)

    @contextlib.asynccontextmanager
    async def up(self) -> AsyncIterator[int]:
        """Listening on 127.0.0.1 while the block runs, always on the same port; gives it."""
        server = await asyncio.get_running_loop().create_server(
            self._server, "127.0.0.1", self.port, ssl=self.context if self.tls == "implicit" else None
        )
        async with server:
            self.port = int(server.sockets[0].getsockname()[1])
            yield self.port


@pytest.fixture
def mail_server() -> type[MailServer]:
    """A class: ``server = mail_server(tls=…)``, ``async with server.up() as port``."""
    return MailServer


@pytest.fixture
def eventually() -> Callable[..., Awaitable[Any]]:
    """``await eventually(look, within=seconds)``: the first truthy answer of ``look``."""
    return _eventually


@pytest.fixture
def world_class() -> type[World]:
    """For a test that has a release of its own."""
    return World


@contextlib.contextmanager
def _released(plane: ControlPlane) -> Iterator[Release]:
    installed = Release(plane, f"operator-{secrets.token_hex(4)}")
    installed.install(WITHOUT_PODS | {"operator": {"replicas": 0, "copySecrets": ["copied", "registry"]}})
    yield installed
    installed.uninstall()
    installed.forget()


@contextlib.asynccontextmanager
async def _opened(plane: ControlPlane, release: Release, folder: Path) -> AsyncIterator[World]:
    with StandIn.start(folder / "talkdesk") as stand_in:
        async with contextlib.AsyncExitStack() as stack:
            kube = await stack.enter_async_context(
                await Kube.connect(KubeSettings(kubeconfig=plane.kubeconfig), user_agent="test")
            )
            control = await stack.enter_async_context(plain(base_url=stand_in.control, timeout=60))
            yield World(plane, kube, release, stand_in, control, folder, stack)


@pytest.fixture(scope="session")
def released(control_plane: ControlPlane) -> Callable[[], contextlib.AbstractContextManager[Release]]:
    """``with released() as release``: without pods, as the fixture ``release``, but for many tests."""
    return lambda: _released(control_plane)


@pytest.fixture(scope="session")
def opened(
    control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[Release], contextlib.AbstractAsyncContextManager[World]]:
    """``async with opened(release) as world``, whose processes are yet to be started.

    One at a time for each release: operators of two worlds would both hold its Lease, as ``operator-0``, and
    ask two stand-ins about the same installations.
    """
    taken: set[str] = set()

    @contextlib.asynccontextmanager
    async def alone(release: Release) -> AsyncIterator[World]:
        if release.namespace in taken:
            pytest.fail(f"another world runs in {release.namespace}: this one needs a release of its own")
        taken.add(release.namespace)
        try:
            async with _opened(control_plane, release, tmp_path_factory.mktemp("world")) as made:
                yield made
        finally:
            taken.remove(release.namespace)

    return alone


@pytest.fixture(scope="module")
def shared_release(released: Callable[[], contextlib.AbstractContextManager[Release]]) -> Iterator[Release]:
    """A release for a whole module."""
    with released() as installed:
        yield installed


@pytest.fixture(scope="module")
def open_world(
    shared_release: Release, opened: Callable[[Release], contextlib.AbstractAsyncContextManager[World]]
) -> Callable[[], contextlib.AbstractAsyncContextManager[World]]:
    """``async with open_world() as world``: for modules whose processes need settings of their own."""
    return lambda: opened(shared_release)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(open_world: Callable[..., Any]) -> AsyncIterator[World]:
    """Running, for a whole module: each test declares an app of its own."""
    async with open_world() as made:
        await made.start()
        yield made
