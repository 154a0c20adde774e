"""The control plane that all tests share, and a namespace for each of them."""

from __future__ import annotations

import contextlib
import fcntl
import gc
import os
import secrets
import sys
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zlib import crc32

import pytest
import pytest_asyncio
import structlog
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Generator, Iterator

    from talkdesk_kube import Kube
    from talkdesk_sandbox.controlplane import ControlPlane
    from talkdesk_sandbox.release import Release
    from talkdesk_sandbox.run_audit import RunAudit

_CRDS = Path(__file__).parent.parent / "crds"
#: The certificate of an authority whose key nobody has, long expired.
_NOBODY = Path(__file__).parent / "nobody.pem"
_START_SECONDS = pytest.StashKey[float]()
#: Folders whose tests run whole sandboxes, by what a process of the run does one after another; and those
#: that take longest of the others.
_SANDBOXES = {
    **dict.fromkeys(("browser", "sandbox", "signon"), "sandboxes"),
    **dict.fromkeys(("certify", "tutorial"), "certifications"),
}
_LONG = frozenset({"stateful", "faults"})
#: A folder whose tests share what takes longer to set up than most of them take.
_ONE_WORLD = "one_world"
_STARTS_A_PROGRAM = frozenset({"subprocess.Popen", "os.fork", "os.posix_spawn", "os.system"})

# How long one example takes says more about the machine's load than about the code. A property that needs
# more examples than others takes them as a multiple of the profile's.
settings.register_profile("full", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("unit", settings.get_profile("full"), max_examples=20, derandomize=True)
settings.load_profile("full")  # unless --hypothesis-profile names another


def _warnings_only(_: Any, level: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    if level in {"debug", "info"}:
        raise structlog.DropEvent
    return event


# What a failed test prints is not buried under every request. Those who test logs get them all: capture_logs
# and configure_logging replace the processors.
structlog.configure(processors=[_warnings_only, *structlog.get_config()["processors"]])


class _ProgramGuard:
    """Fails a test that starts a program without a marker that says so: the fast tests would grow slow."""

    def __init__(self) -> None:
        self._unmarked: str | None = None
        sys.addaudithook(self._hear)

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self._unmarked and event in _STARTS_A_PROGRAM:
            pytest.fail(f"{self._unmarked} starts a program {arguments[:2]}: it needs the marker `processes`")

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        marked = any(item.get_closest_marker(name) for name in ("cluster", "sandbox", "processes"))
        self._unmarked = None if marked else item.nodeid
        try:
            return (yield)
        finally:
            self._unmarked = None

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_teardown(self) -> None:
        """What ends here may be a fixture of marked tests that ran before."""
        self._unmarked = None


class _FolderGuard:
    """What a folder's tests share ends with them; pytest keeps it to the run's end where it knows no package.

    A sandbox that idles, with a page open in its browser, takes a tenth of the machine from all later tests.
    """

    @pytest.hookimpl(tryfirst=True)
    def pytest_fixture_setup(
        self, fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
    ) -> None:
        if fixturedef.scope == "package" and isinstance(request.node, pytest.Session):
            pytest.fail(f"{fixturedef.argname} would outlive {fixturedef.baseid}: it needs an __init__.py")


def pytest_configure(config: pytest.Config) -> None:
    """Watch over the tests without a marker, and over what a folder's tests share.

    No test speaks to a public host, yet each program that imports aiohttp reads all public authorities,
    twice: 90 ms, five hundred times in a run. They read one that vouches for nobody.
    """
    os.environ.setdefault("SSL_CERT_FILE", str(_NOBODY))
    config.pluginmanager.register(_ProgramGuard())
    config.pluginmanager.register(_FolderGuard())


class _FirstCompiles:
    """Of a run's processes that begin at once, one imports everything first; the others find it compiled.

    In a fresh clone that is two thirds of the time that it takes to find the tests.
    """

    def __init__(self) -> None:
        self._lock = os.open(__file__, os.O_RDONLY)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            fcntl.flock(self._lock, fcntl.LOCK_SH)

    def pytest_collection_finish(self) -> None:
        """Let the others begin."""
        os.close(self._lock)


def pytest_collection(session: pytest.Session) -> None:
    """Thousands of tests and their modules stay to the end: the garbage collector need not look at them."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        session.config.pluginmanager.register(_FirstCompiles())
    gc.disable()


def pytest_collection_finish() -> None:
    """From here on there is garbage."""
    gc.freeze()
    gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test that asks for the control plane, itself or through its fixtures, as ``cluster``.

    What reads the audit logs of the whole run comes last. In a run of several processes what takes longest
    begins.
    """
    for item in items:
        if "control_plane" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.cluster)
    items.sort(key=lambda item: item.path.name == "test_audit.py")
    if "PYTEST_XDIST_WORKER" in os.environ:
        items.sort(key=_turn)


def _folder(path: str) -> str:
    """Of ``tests/``, the one that this file is in, however deep."""
    return Path(path).parts[1]


def _lane(nodeid: str) -> str:
    """What one process of a run does, one test after another, is called the same."""
    path = nodeid.partition("::")[0]
    folder = path.rpartition("/")[0]
    return folder if folder.endswith(_ONE_WORLD) else _SANDBOXES.get(_folder(path), path)


def _turn(item: pytest.Item) -> tuple[int, int]:
    """When, in a run of several processes; neighbours in the alphabet are alike in what they need.

    What takes longest begins, beside a third of the files whose tests mostly wait for something. The others
    are dealt among those that keep the machine busy, so that at no time all wait. Half of what starts no
    program is among them; the rest fills the gaps at the end.
    """
    lane = _lane(item.nodeid)
    dealt = crc32(lane.encode())
    if (folder := _folder(item.nodeid)) in _SANDBOXES:
        return 0, 0
    if folder in _LONG:
        return 2, 0
    if any(item.get_closest_marker(name) for name in ("cluster", "processes")):
        return (1 if lane.endswith(_ONE_WORLD) or dealt % 3 == 0 else 3), dealt
    return (3 if dealt % 2 == 0 else 4), dealt


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """In a run of several processes (pytest-xdist) a file stays in one of them.

    So do all files with whole sandboxes, and all that certify: they and their browsers keep the machine busy,
    while most other tests wait for something. And those that share a world.
    """
    from xdist.scheduler import LoadScopeScheduling  # noqa: PLC0415 - not at hand in every process

    class Lanes(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return _lane(nodeid)

    return Lanes(config, log)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say what took how long, by folder, and how long the control plane took.

    Nothing fails by it, for that depends on the machine's load.
    """
    if (seconds := config.stash.get(_START_SECONDS, None)) is not None:
        terminalreporter.write_line(f"control plane: usable after {seconds:.1f} s")
    spent: Counter[str] = Counter()
    for report in (one for some in terminalreporter.stats.values() for one in some):
        if isinstance(report, pytest.TestReport):
            spent["/".join(report.nodeid.split("/")[:2]).partition("::")[0]] += report.duration
    if len(spent) > 1:
        told = ", ".join(
            f"{folder} {seconds:.0f} s" for folder, seconds in spent.most_common() if seconds >= 1
        )
        terminalreporter.write_line(f"what took how long: {told}")


@dataclass
class WholeRun:
    """What the tests of this run have in common: whose audit logs are looked at when it ends."""

    control_planes: list[ControlPlane] = field(default_factory=list)
    #: Begin and end of the times in which a test had the product refused on purpose.
    refusals: list[tuple[datetime, datetime]] = field(default_factory=list)
    #: A story was played that needs every right.
    wide_story: bool = False

    @contextlib.contextmanager
    def refusals_intended(self) -> Iterator[None]:
        """Requests of the product that are refused in this block, or a second later, are no defect."""
        began = datetime.now(UTC)
        try:
            yield
        finally:
            self.refusals.append((began, datetime.now(UTC) + timedelta(seconds=1)))

    def audit(self, plane: ControlPlane) -> RunAudit:
        """What is on record so far of ``plane``."""
        from talkdesk_sandbox.run_audit import of_log  # noqa: PLC0415 - unit tests do not pay for it

        return of_log(plane.audit_log, refusals=self.refusals, wide_story=self.wide_story)

    @contextlib.contextmanager
    def kept(self, plane: ControlPlane) -> Iterator[None]:
        """The audit log of ``plane`` is one of the run's; where ``AUDITS`` names a folder it outlives it."""
        self.control_planes.append(plane)
        try:
            yield
        finally:
            if folder := os.environ.get("AUDITS"):
                self.audit(plane).write(Path(folder) / f"{secrets.token_hex(8)}.json")


@pytest.fixture(scope="session")
def whole_run() -> WholeRun:
    """What is known of this run so far."""
    return WholeRun()


@pytest.fixture
def refusals_intended(whole_run: WholeRun) -> Iterator[None]:
    """For a test that has the product refused by RBAC or a policy: the run's last test then accepts it.

    A test that does so only for a moment uses ``with whole_run.refusals_intended():``.
    """
    with whole_run.refusals_intended():
        yield


@pytest.fixture(scope="session")
def control_plane(request: pytest.FixtureRequest, whole_run: WholeRun) -> Iterator[ControlPlane]:
    """One control plane for the whole run, with our kinds installed and established."""
    from talkdesk_sandbox.controlplane import ControlPlane  # noqa: PLC0415 - unit tests do not pay for it

    with ControlPlane.start() as plane:
        request.config.stash[_START_SECONDS] = plane.start_seconds
        if crds := sorted(_CRDS.glob("*.yaml")):
            files = [argument for path in crds for argument in ("-f", str(path))]
            plane.kubectl("apply", "--server-side", *files)
            plane.kubectl("wait", "--for=condition=Established", "--timeout=30s", *files)
        with whole_run.kept(plane):
            yield plane


@pytest.fixture
def namespace(control_plane: ControlPlane) -> Iterator[str]:
    """A namespace of this test alone; nothing runs in it afterwards."""
    name = f"test-{secrets.token_hex(5)}"
    control_plane.request("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
    yield name
    control_plane.vacate(name)


@pytest_asyncio.fixture
async def kube(control_plane: ControlPlane) -> AsyncIterator[Kube]:
    """Our own client as administrator, for arranging and looking."""
    from talkdesk_kube import Kube, KubeSettings  # noqa: PLC0415 - unit tests do not pay for it

    administrator = KubeSettings(kubeconfig=control_plane.kubeconfig)
    async with await Kube.connect(administrator, user_agent="test") as connected:
        yield connected


@pytest.fixture
def release(control_plane: ControlPlane, namespace: str) -> Iterator[Release]:
    """The chart in the test's namespace, without pods: its identities, roles and admission policies are real.

    ``release.settings("operator")`` is the environment for running a process of it in the test.
    """
    from talkdesk_sandbox.release import WITHOUT_PODS, Release  # noqa: PLC0415 - unit tests do not pay for it

    installed = Release(control_plane, namespace)
    installed.install(WITHOUT_PODS)
    yield installed
    installed.uninstall()
    installed.forget()
