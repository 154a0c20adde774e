"""The control plane that all tests share, and a namespace for each of them."""

from __future__ import annotations

import contextlib
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from talkdesk_kube import Kube
    from talkdesk_sandbox.controlplane import ControlPlane
    from talkdesk_sandbox.release import Release

_CRDS = Path(__file__).parent.parent / "crds"
_START_SECONDS = pytest.StashKey[float]()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test that asks for the control plane, itself or through its fixtures, as ``cluster``."""
    for item in items:
        if "control_plane" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.cluster)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say how long the control plane took; nothing fails by it, for that depends on the machine's load."""
    if (seconds := config.stash.get(_START_SECONDS, None)) is not None:
        terminalreporter.write_line(f"control plane: usable after {seconds:.1f} s")


@pytest.fixture(scope="session")
def control_plane(request: pytest.FixtureRequest) -> Iterator[ControlPlane]:
    """One control plane for the whole run, with our kinds installed and established."""
    from talkdesk_sandbox.controlplane import ControlPlane  # noqa: PLC0415 - unit tests do not pay for it

    with ControlPlane.start() as plane:
        request.config.stash[_START_SECONDS] = plane.start_seconds
        if crds := sorted(_CRDS.glob("*.yaml")):
            files = [argument for path in crds for argument in ("-f", str(path))]
            plane.kubectl("apply", "--server-side", *files)
            plane.kubectl("wait", "--for=condition=Established", "--timeout=30s", *files)
        yield plane


@pytest.fixture
def namespace(control_plane: ControlPlane) -> Iterator[str]:
    """A namespace of this test alone; deleted afterwards, without waiting for it to be gone."""
    from talkdesk_sandbox.controlplane import RequestError  # noqa: PLC0415 - unit tests do not pay for it

    name = f"test-{secrets.token_hex(5)}"
    control_plane.request("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
    yield name
    with contextlib.suppress(RequestError):  # a test may have deleted it itself
        control_plane.request("DELETE", f"/api/v1/namespaces/{name}")


@pytest_asyncio.fixture
async def kube(control_plane: ControlPlane) -> AsyncIterator[Kube]:
    """Our own client as administrator, for arranging and looking."""
    from talkdesk_kube import Kube, KubeSettings  # noqa: PLC0415 - unit tests do not pay for it

    async with await Kube.connect(KubeSettings(kubeconfig=control_plane.kubeconfig)) as connected:
        yield connected


@pytest.fixture
def release(control_plane: ControlPlane, namespace: str) -> Iterator[Release]:
    """The chart in the test's namespace, without pods: its identities, roles and admission policies are real.

    ``release.settings("operator")`` is the environment for running a process of it in the test.
    """
    from talkdesk_sandbox.release import Release  # noqa: PLC0415 - unit tests do not pay for it

    installed = Release(control_plane, namespace)
    installed.install({"crds": {"install": False}, "webhook": {"replicas": 0}, "operator": {"replicas": 0}})
    yield installed
    installed.uninstall()
    control_plane.kubectl(
        "delete", "namespace", installed.credentials_namespace, "--wait=false", "--ignore-not-found"
    )
