"""The operator is removed first: what it leaves can be deleted with kubectl, promptly."""

from __future__ import annotations

import contextlib
import secrets
import time
from typing import TYPE_CHECKING

import pytest

from talkdesk_kube import Kube, KubeSettings, NotFound, resources
from talkdesk_sandbox.plain import plain
from talkdesk_sandbox.release import WITHOUT_PODS, Release
from talkdesk_sandbox.talkdesk import StandIn

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from talkdesk_sandbox.controlplane import ControlPlane

#: A deletion that waits for a process which is gone would wait for ever.
PROMPTLY = 60.0


@pytest.mark.asyncio
async def test_removing_the_operator_first_leaves_nothing_that_cannot_be_deleted(
    control_plane: ControlPlane, tmp_path: Path, world_class: Any
) -> None:
    name = f"removed-{secrets.token_hex(4)}"
    release = Release(control_plane, name)
    release.install(WITHOUT_PODS)
    with StandIn.start(tmp_path / "talkdesk") as stand_in:
        async with contextlib.AsyncExitStack() as stack:
            kube = await stack.enter_async_context(
                await Kube.connect(KubeSettings(kubeconfig=control_plane.kubeconfig), user_agent="test")
            )
            control = await stack.enter_async_context(plain(base_url=stand_in.control, timeout=60))
            world = world_class(control_plane, kube, release, stand_in, control, tmp_path, stack)
            await world.start()
            await world.declare()
            installed = await world.install()
            await world.approved(installed)
            await world.condition(installed, "Ready", "True")
            tenant = await world.tenant(installed)
        administrator = KubeSettings(kubeconfig=control_plane.kubeconfig)
        async with await Kube.connect(administrator, user_agent="test") as kube:
            release.uninstall()
            where = ("--namespace", name, f"--timeout={PROMPTLY:.0f}s")
            began = time.monotonic()
            for kind in ("tdi", "tda", "tdus", "tdr"):
                control_plane.kubectl("delete", kind, "--all", *where)
            control_plane.kubectl("delete", "namespace", tenant, f"--timeout={PROMPTLY:.0f}s")
            control_plane.kubectl("delete", "namespace", release.credentials_namespace, "--timeout=60s")
            control_plane.kubectl("delete", "namespace", name, "--timeout=60s")
            assert time.monotonic() - began < PROMPTLY
            for namespace in (tenant, release.credentials_namespace, name):
                with pytest.raises(NotFound):
                    await kube.get(resources.NAMESPACES, namespace)
