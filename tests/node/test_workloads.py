"""What a container is given, Jobs, logs, claims, and what the node says of what it cannot run."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from talkdesk_kube.resources import CONFIG_MAPS, JOBS, PERSISTENT_VOLUME_CLAIMS, PODS, SECRETS
from talkdesk_sandbox.node.guard import MARK

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from talkdesk_kube import Kube
    from talkdesk_sandbox.controlplane import ControlPlane
    from talkdesk_sandbox.node import Node

Obj = dict[str, Any]


async def phase(kube: Kube, namespace: str, name: str) -> str:
    pod = await kube.get(PODS, name, namespace=namespace)
    return str((pod.get("status") or {}).get("phase", ""))


async def waiting(kube: Kube, namespace: str, name: str) -> Obj:
    pod = await kube.get(PODS, name, namespace=namespace)
    statuses = (pod.get("status") or {}).get("containerStatuses") or [{}]
    return dict((statuses[0].get("state") or {}).get("waiting") or {})


async def output(kube: Kube, control_plane: ControlPlane, until: Any, namespace: str, name: str) -> str:
    async def ended() -> bool:
        return await phase(kube, namespace, name) in {"Succeeded", "Failed"}

    await until(ended)
    return await asyncio.to_thread(control_plane.kubectl, "logs", name, "--namespace", namespace)


def job(namespace: str, script: str, *, policy: str = "Never", backoff_limit: int = 1) -> Obj:
    container = {"name": "main", "image": "shell", "args": [script]}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "work", "namespace": namespace},
        "spec": {
            "backoffLimit": backoff_limit,
            "template": {"spec": {"restartPolicy": policy, "containers": [container]}},
        },
    }


async def job_condition(kube: Kube, namespace: str, condition: str) -> Obj | None:
    status = (await kube.get(JOBS, "work", namespace=namespace)).get("status") or {}
    held = {one["type"] for one in status.get("conditions") or [] if one["status"] == "True"}
    return status if condition in held else None


async def test_of_the_nodes_own_environment_a_container_has_only_what_an_image_would_bring(
    kube: Kube, control_plane: ControlPlane, place: str, until: Any, shell_pod: Callable[..., Obj]
) -> None:
    await kube.create(PODS, shell_pod(place, "bare", "env", spec={"restartPolicy": "Never"}))
    told = await output(kube, control_plane, until, place, "bare")
    found = dict(line.split("=", 1) for line in told.splitlines())
    of_the_shell = {"PWD", "OLDPWD", "SHLVL", "_"}
    names = {name for name in found if not name.startswith("KUBERNETES_")} - of_the_shell
    assert names == {"PATH", "HOSTNAME", "HOME", "TMPDIR", "LANG", "SSL_CERT_FILE", MARK}
    assert found["SSL_CERT_FILE"] == os.environ["SSL_CERT_FILE"]


async def test_config_maps_secrets_and_the_downward_api_reach_environment_and_folders(
    kube: Kube, control_plane: ControlPlane, place: str, until: Any, shell_pod: Callable[..., Obj]
) -> None:
    await kube.create(
        CONFIG_MAPS,
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings", "namespace": place},
         "data": {"COLOUR": "green", "file.txt": "from the map"}},
    )  # fmt: skip
    await kube.create(
        SECRETS,
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "keys", "namespace": place},
         "stringData": {"token": "not-so-secret"}},
    )  # fmt: skip
    env = [
        {"name": "COLOUR", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "COLOUR"}}},
        {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "token"}}},
        {"name": "ABSENT", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "none", "optional": True}}},
        {"name": "NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
        {"name": "CPU", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu", "divisor": "1m"}}},
        {"name": "GREETING", "value": "hello $(NAME), $$(NAME), $(UNKNOWN)"},
        {"name": "FILE", "value": "/etc/settings/file.txt"},
    ]
    script = (
        'echo "$COLOUR|$TOKEN|${ABSENT-absent}|$NAME|$CPU|$GREETING|$PRE_COLOUR"; echo "$IP";'
        " cat $FILE /etc/keys/token /etc/pod/app;"
        ' echo; echo "$KUBERNETES_SERVICE_HOST:$KUBERNETES_SERVICE_PORT"'
    )
    pod = shell_pod(
        place,
        "told",
        script,
        env=env,
        envFrom=[{"configMapRef": {"name": "settings"}, "prefix": "PRE_"}],
        resources={"limits": {"cpu": "250m"}},
        volumeMounts=[
            {"name": "settings", "mountPath": "/etc/settings"},
            {"name": "keys", "mountPath": "/etc/keys"},
            {"name": "pod", "mountPath": "/etc/pod"},
        ],
        spec={
            "restartPolicy": "Never",
            "volumes": [
                {"name": "settings", "configMap": {"name": "settings"}},
                {"name": "keys", "secret": {"secretName": "keys"}},
                {
                    "name": "pod",
                    "downwardAPI": {
                        "items": [{"path": "app", "fieldRef": {"fieldPath": "metadata.labels['app']"}}]
                    },
                },
            ],
        },
    )
    await kube.create(PODS, pod)

    lines = (await output(kube, control_plane, until, place, "told")).splitlines()

    assert lines[0] == "green|not-so-secret|absent|told|250|hello told, $(NAME), $(UNKNOWN)|green"
    reported = (await kube.get(PODS, "told", namespace=place))["status"]["podIP"]
    assert lines[1] == control_plane.network.listen_address(reported)
    assert lines[2] == "from the mapnot-so-secrettold"
    assert f"https://{lines[3]}" == control_plane.url


async def test_a_pod_waits_for_a_config_map_that_does_not_exist_yet(
    kube: Kube, place: str, until: Any, shell_pod: Callable[..., Obj]
) -> None:
    env = [{"name": "COLOUR", "valueFrom": {"configMapKeyRef": {"name": "late", "key": "COLOUR"}}}]
    await kube.create(PODS, shell_pod(place, "early", "true", env=env, spec={"restartPolicy": "Never"}))

    async def says_so() -> bool:
        state = await waiting(kube, place, "early")
        return state.get("reason") == "CreateContainerConfigError" and '"late" not found' in state["message"]

    await until(says_so)
    obj = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "late", "namespace": place},
        "data": {"COLOUR": "x"},
    }
    await kube.create(CONFIG_MAPS, obj)

    async def succeeded() -> bool:
        return await phase(kube, place, "early") == "Succeeded"

    await until(succeeded)


async def test_a_changed_config_map_shows_in_the_mounted_folder(
    kube: Kube, node: Node, place: str, until: Any, shell_pod: Callable[..., Obj]
) -> None:
    obj = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "live", "namespace": place},
        "data": {"a": "1", "b": "x"},
    }
    await kube.create(CONFIG_MAPS, obj)
    volumes = [{"name": "live", "configMap": {"name": "live"}}]
    await kube.create(PODS, shell_pod(place, "reader", "exec sleep 1000", spec={"volumes": volumes}))
    uid = (await kube.get(PODS, "reader", namespace=place))["metadata"]["uid"]
    folder = node.directory / "pods" / uid / "volumes" / "live"

    async def shows(expected: dict[str, str]) -> bool:
        return (
            folder.is_dir()
            and {p.name: p.read_text() for p in folder.iterdir() if not p.name.startswith("..")} == expected
        )

    await until(lambda: shows({"a": "1", "b": "x"}))
    await kube.merge_patch(CONFIG_MAPS, "live", {"data": {"a": "2", "b": None}}, namespace=place)
    await until(lambda: shows({"a": "2"}))


async def test_a_pod_is_known_to_the_api_server_by_its_token_and_the_token_is_renewed(
    *,
    kube: Kube,
    control_plane: ControlPlane,
    node: Node,
    place: str,
    until: Any,
    shell_pod: Callable[..., Obj],
) -> None:
    path = "/var/run/secrets/kubernetes.io/serviceaccount"
    pod = shell_pod(
        place,
        "known",
        f"echo $KUBECONFIG; cat {path}/namespace; exec sleep 1000",
        env=[{"name": "KUBECONFIG", "value": f"{path}/kubeconfig"}],
    )
    await kube.create(PODS, pod)
    uid = (await kube.get(PODS, "known", namespace=place))["metadata"]["uid"]

    async def folder() -> Path | None:
        found = list((node.directory / "pods" / uid / "volumes").glob("kube-api-access-*"))
        return found[0] if found and (found[0] / "kubeconfig").exists() else None

    mounted = await until(folder)
    command = [
        control_plane.bin("kubectl"),
        "--kubeconfig",
        mounted / "kubeconfig",
        "auth",
        "whoami",
        "--output",
        "json",
    ]
    answer = await asyncio.to_thread(subprocess.run, command, capture_output=True, check=True)
    user = json.loads(answer.stdout)["status"]["userInfo"]
    assert user["username"] == f"system:serviceaccount:{place}:default"
    assert user["extra"]["authentication.kubernetes.io/pod-uid"] == [uid]
    assert (mounted / "token").stat().st_mode & 0o077 == 0

    before = (mounted / "token").read_text()

    async def renewed() -> bool:
        token = (mounted / "token").read_text()
        return token != before and token in (mounted / "kubeconfig").read_text()

    await until(renewed)
    log = await asyncio.to_thread(control_plane.kubectl, "logs", "known", "--namespace", place)
    assert log == f"{mounted}/kubeconfig\n{place}"


async def test_a_job_succeeds_when_its_process_does(kube: Kube, place: str, until: Any) -> None:
    await kube.create(JOBS, job(place, "exit 0"))
    status = await until(lambda: job_condition(kube, place, "Complete"))
    assert status["succeeded"] == 1


async def test_a_job_fails_after_its_backoff_limit(kube: Kube, place: str, until: Any) -> None:
    await kube.create(JOBS, job(place, "exit 3", backoff_limit=0))
    status = await until(lambda: job_condition(kube, place, "Failed"))
    assert status["failed"] == 1
    pod = (await kube.list(PODS, namespace=place)).items[0]
    assert pod["status"]["phase"] == "Failed"
    assert pod["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 3


async def test_a_job_with_on_failure_runs_again_in_the_same_pod(kube: Kube, place: str, until: Any) -> None:
    await kube.create(
        JOBS,
        job(
            place,
            "test -e $HOME/second || { touch $HOME/second; exit 1; }",
            policy="OnFailure",
            backoff_limit=3,
        ),
    )
    await until(lambda: job_condition(kube, place, "Complete"))
    pods = (await kube.list(PODS, namespace=place)).items
    assert [pod["status"]["containerStatuses"][0]["restartCount"] for pod in pods] == [1]


async def test_an_image_without_a_local_command_is_an_image_that_cannot_be_pulled(
    kube: Kube, place: str, until: Any, shell_pod: Callable[..., Obj]
) -> None:
    await kube.create(PODS, shell_pod(place, "foreign", "true", image="registry.example.com/team/app:1.2"))
    seen = set()

    async def backed_off() -> bool:
        state = await waiting(kube, place, "foreign")
        seen.add(state.get("reason"))
        return (
            state.get("reason") == "ImagePullBackOff" and "registry.example.com/team/app" in state["message"]
        )

    await until(backed_off)
    assert await phase(kube, place, "foreign") == "Pending"


async def test_a_program_that_does_not_exist_ends_its_container(
    kube: Kube, place: str, until: Any, shell_pod: Callable[..., Obj]
) -> None:
    await kube.create(
        PODS, shell_pod(place, "typo", "", command=["no-such-program"], spec={"restartPolicy": "Never"})
    )

    async def failed() -> bool:
        return await phase(kube, place, "typo") == "Failed"

    await until(failed)
    pod = await kube.get(PODS, "typo", namespace=place)
    ended = pod["status"]["containerStatuses"][0]["state"]["terminated"]
    assert ended["reason"] == "StartError"
    assert "no-such-program" in ended["message"]


@pytest.mark.parametrize(
    ("spec", "container", "words"),
    [
        (
            {"volumes": [{"name": "v", "hostPath": {"path": "/etc"}}]},
            {},
            "hostPath volumes are not supported",
        ),
        ({"hostNetwork": True}, {}, "hostNetwork is not supported"),
        ({}, {"readinessProbe": {"grpc": {"port": 8080}}}, "readinessProbe over gRPC is not supported"),
    ],
)
async def test_what_the_node_cannot_do_stands_in_the_pods_status(
    *,
    kube: Kube,
    place: str,
    until: Any,
    shell_pod: Callable[..., Obj],
    spec: Obj,
    container: Obj,
    words: str,
) -> None:
    await kube.create(PODS, shell_pod(place, "wishful", "exec sleep 1000", spec=spec, **container))

    async def said() -> bool:
        return words in (await waiting(kube, place, "wishful")).get("message", "")

    await until(said)


async def test_init_containers_run_first_and_a_sidecar_beside(
    kube: Kube, control_plane: ControlPlane, place: str, until: Any, shell_pod: Callable[..., Obj]
) -> None:
    mounts = [{"name": "shared", "mountPath": "/shared"}]
    spec = {
        "restartPolicy": "Never",
        "volumes": [{"name": "shared", "emptyDir": {}}],
        "initContainers": [
            {"name": "first", "image": "shell", "args": ["echo first >> /shared/log"],
             "volumeMounts": mounts},
            {"name": "beside", "image": "shell", "args": ["echo beside >> /shared/log; exec sleep 1000"],
             "restartPolicy": "Always", "volumeMounts": mounts,
             "startupProbe": {"exec": {"command": ["grep", "-q", "beside", "/shared/log"]},
                              "periodSeconds": 1}},
            {"name": "second", "image": "shell", "args": ["echo second >> /shared/log"],
             "volumeMounts": mounts},
        ],
    }  # fmt: skip
    await kube.create(PODS, shell_pod(place, "ordered", "cat /shared/log", volumeMounts=mounts, spec=spec))
    assert (await output(kube, control_plane, until, place, "ordered")).split() == [
        "first",
        "beside",
        "second",
    ]
    assert await phase(kube, place, "ordered") == "Succeeded"


async def test_a_claims_data_outlives_the_pod(
    *,
    kube: Kube,
    control_plane: ControlPlane,
    node: Node,
    place: str,
    until: Any,
    shell_pod: Callable[..., Obj],
) -> None:
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}}
    metadata = {"name": "data", "namespace": place}
    await kube.create(
        PERSISTENT_VOLUME_CLAIMS,
        {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": spec},
    )
    pod = {
        "volumeMounts": [{"name": "data", "mountPath": "/data"}],
        "spec": {
            "restartPolicy": "Never",
            "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}],
        },
    }
    await kube.create(PODS, shell_pod(place, "writer", "echo kept > /data/file", **pod))
    await output(kube, control_plane, until, place, "writer")
    await kube.delete(PODS, "writer", namespace=place)
    await kube.create(PODS, shell_pod(place, "reader", "cat /data/file", **pod))
    assert await output(kube, control_plane, until, place, "reader") == "kept\n"

    claim = await kube.get(PERSISTENT_VOLUME_CLAIMS, "data", namespace=place)
    folder = node.directory / "claims" / claim["spec"]["volumeName"]
    assert (folder / "file").exists()
    await kube.delete(PODS, "reader", namespace=place)
    await kube.delete(PERSISTENT_VOLUME_CLAIMS, "data", namespace=place)

    async def removed() -> bool:
        return not folder.exists()

    await until(removed)


async def test_kubectl_logs_shows_the_tail_follows_and_remembers_the_previous_run(
    kube: Kube, control_plane: ControlPlane, place: str, until: Any, shell_pod: Callable[..., Obj]
) -> None:
    first = "touch $HOME/again; echo one; echo two; echo three"
    script = f"test -e $HOME/again && {{ echo again; exec sleep 1000; }}; {first}"
    await kube.create(PODS, shell_pod(place, "talks", script))

    async def logs(*options: str) -> str:
        return await asyncio.to_thread(control_plane.kubectl, "logs", "talks", "--namespace", place, *options)

    async def restarted() -> bool:
        pod = await kube.get(PODS, "talks", namespace=place)
        statuses = (pod.get("status") or {}).get("containerStatuses") or []
        return bool(statuses and statuses[0]["restartCount"] == 1 and "running" in statuses[0]["state"])

    async def again() -> bool:
        return await logs() == "again\n"

    await until(restarted)
    await until(again)
    assert await logs("--previous") == "one\ntwo\nthree\n"
    assert await logs("--previous", "--tail=2") == "two\nthree\n"
    following = await asyncio.create_subprocess_exec(
        control_plane.bin("kubectl"), "logs", "talks", "--namespace", place, "--follow",
        stdout=asyncio.subprocess.PIPE, env=control_plane.environment,
    )  # fmt: skip
    assert following.stdout is not None
    assert await following.stdout.readline() == b"again\n"
    await kube.delete(PODS, "talks", namespace=place)
    assert await following.stdout.read() == b""
    assert await following.wait() == 0
