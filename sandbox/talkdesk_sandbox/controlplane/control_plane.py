"""A real Kubernetes API on this machine, for tests and the sandbox; it leaves no trace when it ends."""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import ssl
import time
from typing import TYPE_CHECKING, Any, Self

import httpx

from talkdesk_sandbox.certificates import Authority, KeyPair, new_key_file, write_private
from talkdesk_sandbox.controlplane import audit_log, kubeconfig, servers
from talkdesk_sandbox.controlplane.assets import Assets, locate
from talkdesk_sandbox.controlplane.errors import RequestError
from talkdesk_sandbox.controlplane.network import Claim, Network, NodeTLS
from talkdesk_sandbox.controlplane.programs import Program, output_of
from talkdesk_sandbox.controlplane.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

_START_SECONDS = 60.0
_REQUEST_SECONDS = 10.0
_TOKEN_SECONDS = 24 * 3600
#: Collecting garbage less often saves a tenth of the API server's CPU time and a third of helm's, for memory.
#: On one core each they do not look for work on others: a twentieth less of the API server, a fifth of etcd.
_GO = {"GOGC": "300", "GOMAXPROCS": "1"}


class ControlPlane:
    """A running control plane; get one from ``start`` and end it with ``stop`` or a ``with`` block.

    Attributes:
        url: of the API server.
        kubeconfig: file of an administrator (group ``system:masters``).
        ca_file: PEM of the authority that signed the API server's certificate.
        audit_log: JSON lines, one an entry (``audit.k8s.io/v1`` Event).
        network: the addresses of this control plane; ``network_file`` holds the same for its node.
        node_tls: with what the node serves ``kubectl logs``.
        directory: everything of this control plane; private, removed by ``stop``.
        start_seconds: how long it took until it was usable.
    """

    def __init__(self, *, assets: Assets, workspace: Workspace, claim: Claim) -> None:
        """Lay everything out in ``workspace``; nothing runs yet. Use ``start``."""
        self.directory = workspace.path
        self._assets = assets
        self._workspace = workspace
        self._claim = claim
        self._programs: list[Program] = []
        self.start_seconds = 0.0
        ports = claim.ports(4)
        self._ports = servers.Ports(*ports)
        self._certificates = workspace.folder("certificates")
        self._logs = workspace.folder("logs")
        self._tokens = workspace.folder("kubeconfigs")
        self.url = f"https://127.0.0.1:{self._ports.apiserver}"
        self.audit_log = workspace.path / "audit.jsonl"
        self.kubeconfig = workspace.path / "kubeconfig"
        self.network_file = workspace.path / "network.json"
        authority = Authority(self._certificates, name="talkdesk-sandbox", now=dt.datetime.now(dt.UTC))
        self.ca_file = authority.certificate
        self._admin = authority.issue(
            "admin", common_name="talkdesk-sandbox-admin", organizations=["system:masters"]
        )
        self._files = self._lay_out(authority)
        self._http = httpx.Client(
            base_url=self.url,
            verify=_tls(self.ca_file, self._admin),
            trust_env=False,
            timeout=_REQUEST_SECONDS,
        )
        node = authority.issue("node", common_name="node", hosts=["127.0.0.1", "localhost"])
        self.node_tls = NodeTLS(certificate=node.certificate, key=node.key, client_ca=self.ca_file)
        self.network: Network = claim.network.model_copy(update={"node_tls": self.node_tls})
        self.network.write(self.network_file)
        kubeconfig.write_with_certificate(
            self.kubeconfig, url=self.url, ca_file=self.ca_file, client=self._admin
        )

    def _lay_out(self, authority: Authority) -> servers.Files:
        first_service_address = self._claim.network.service_cidr.replace(".0/16", ".1")
        manager = authority.issue("controller-manager", common_name="system:kube-controller-manager")
        return servers.Files(
            data=self._workspace.folder("etcd"),
            audit_log=self.audit_log,
            audit_policy=self.directory / "audit-policy.json",
            ca=self.ca_file,
            serving=authority.issue(
                "serving",
                common_name="kube-apiserver",
                hosts=[
                    "127.0.0.1",
                    "localhost",
                    first_service_address,
                    "kubernetes",
                    "kubernetes.default",
                    "kubernetes.default.svc",
                    "kubernetes.default.svc.cluster.local",
                ],
            ),
            etcd=authority.issue("etcd", common_name="etcd", hosts=["127.0.0.1", "localhost"]),
            kubelet_client=authority.issue("kubelet-client", common_name="kube-apiserver-kubelet-client"),
            service_account_key=new_key_file(self._certificates / "service-accounts.key"),
            manager_kubeconfig=kubeconfig.write_with_certificate(
                self.directory / "controller-manager.kubeconfig",
                url=self.url,
                ca_file=self.ca_file,
                client=manager,
            ),
            unused=self._workspace.folder("unused"),
        )

    @classmethod
    def start(
        cls,
        *,
        assets: Path | None = None,
        unsafe_no_fsync: bool = True,
        audit_level: servers.AuditLevel = "Metadata",
        report: Callable[[str], None] | None = None,
    ) -> Self:
        """Start one and return when it answers and hands out service accounts.

        Args:
            assets: folder with the programs; by default see ``talkdesk_sandbox.controlplane.assets``.
            unsafe_no_fsync: etcd does not wait for the disk. Right for tests, wrong for benchmarks.
            audit_level: how much each entry of the audit log holds; bodies of Secrets from ``Request`` on.
            report: told in lines about a build, should one be necessary; by default standard error is.

        Raises:
            AssetsError: the programs are missing and cannot be built.
            StartError: a program ended or was not ready in time; the message has the end of its log.
        """
        programs = locate(assets, report=report)
        with contextlib.ExitStack() as undo:
            claim = Claim.take()
            undo.callback(claim.close)
            workspace = Workspace.create()
            undo.callback(workspace.close)
            plane = cls(assets=programs, workspace=workspace, claim=claim)
            undo.callback(plane._http.close)
            undo.callback(plane._end_programs)
            plane._launch(unsafe_no_fsync=unsafe_no_fsync, audit_level=audit_level)
            undo.pop_all()
        return plane

    def _launch(self, *, unsafe_no_fsync: bool, audit_level: servers.AuditLevel) -> None:
        files, ports = self._files, self._ports
        write_private(files.audit_policy, servers.audit_policy(audit_level).encode())
        began = time.monotonic()
        deadline = began + _START_SECONDS
        self._run("etcd", servers.etcd(self.bin("etcd"), files, ports, unsafe_no_fsync=unsafe_no_fsync))
        # It waits for etcd by itself, so that both start at once.
        apiserver = self._run(
            "kube-apiserver",
            servers.apiserver(
                self.bin("kube-apiserver"), files, ports, service_cidr=self.network.service_cidr
            ),
        )
        self._wait(apiserver, lambda: self._is_there("/readyz"), "ready", deadline)
        manager = self._run(
            "kube-controller-manager",
            servers.controller_manager(self.bin("kube-controller-manager"), files, ports),
        )
        account = "/api/v1/namespaces/default/serviceaccounts/default"
        self._wait(manager, lambda: self._is_there(account), "making service accounts", deadline)
        self.start_seconds = time.monotonic() - began

    def _run(self, name: str, command: list[str]) -> Program:
        program = Program.start(
            name, command, log=self._logs / f"{name}.log", cwd=self.directory, env={**os.environ, **_GO}
        )
        self._programs.append(program)
        return program

    def _wait(self, program: Program, condition: Callable[[], bool], what: str, deadline: float) -> None:
        def checked() -> bool:
            for other in self._programs:
                other.check()
            return condition()

        program.wait_until(checked, what=what, seconds=deadline - time.monotonic())

    def _is_there(self, path: str) -> bool:
        try:
            return self._http.get(path).is_success
        except httpx.TransportError:
            return False

    def stop(self) -> None:
        """End all programs and remove the folder. Idempotent."""
        self._end_programs()
        self._http.close()
        self._workspace.close()
        self._claim.close()

    def _end_programs(self) -> None:
        # The manager first, or it fills its log with complaints; the API server holds no state, and with
        # open watches its own way of ending takes 20 seconds; etcd last.
        for program in reversed(self._programs):
            program.stop(kill=program.name == "kube-apiserver")
        self._programs.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def check(self) -> None:
        """Raise StartError, with the end of its log, if a program has ended by itself."""
        for program in self._programs:
            program.check()

    def bin(self, name: str) -> Path:
        """Path of a program: etcd, kube-apiserver, kube-controller-manager, kubectl or helm."""
        return self._assets.path(name)

    @property
    def environment(self) -> dict[str, str]:
        """This process's environment, with kubectl and helm pointed here and their caches kept in here."""
        return {
            **os.environ,
            **_GO,
            "KUBECONFIG": str(self.kubeconfig),
            "KUBECACHEDIR": str(self.directory / "kubectl-cache"),
            "HELM_CACHE_HOME": str(self.directory / "helm" / "cache"),
            "HELM_CONFIG_HOME": str(self.directory / "helm" / "config"),
            "HELM_DATA_HOME": str(self.directory / "helm" / "data"),
        }

    def kubectl(self, *args: str | Path, input: str | None = None) -> str:  # noqa: A002 - as subprocess.run
        """Run kubectl as administrator; its standard output. CommandError when it fails."""
        return output_of(self.bin("kubectl"), args, env=self.environment, text=input or "")

    def helm(self, *args: str | Path, input: str | None = None) -> str:  # noqa: A002 - as subprocess.run
        """Run helm as administrator; its standard output. CommandError when it fails."""
        return output_of(self.bin("helm"), args, env=self.environment, text=input or "")

    def request(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """One request as administrator, without the start of a kubectl: ``("GET", "/api/v1/namespaces")``.

        Returns the object answered. RequestError when the answer is none of success.
        """
        answer = self._http.request(method, path, json=body)
        if answer.is_error:
            raise RequestError(method=method, path=path, code=answer.status_code, text=answer.text)
        answered: dict[str, Any] = answer.json()
        return answered

    def vacate(self, namespace: str) -> None:
        """Delete a namespace that has pods, so that no node goes on running them; that is not waited for.

        One without is gone with the control plane, and deleting it would be some sixty requests.
        """
        path = f"/api/v1/namespaces/{namespace}"
        if self.request("GET", f"{path}/pods?limit=1")["items"]:
            with contextlib.suppress(RequestError):  # somebody has deleted it already
                self.request("DELETE", path)
                # Where their node is gone nobody else ends them, and the namespace stays for minutes.
                self.request("DELETE", f"{path}/pods?gracePeriodSeconds=0")

    def kubeconfig_for(self, service_account: str, namespace: str) -> Path:
        """A kubeconfig that acts as a service account, with a token for a day (inline and as ``tokenFile``).

        Raises RequestError when the service account does not exist.
        """
        request = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"expirationSeconds": _TOKEN_SECONDS},
        }
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{service_account}/token"
        token = self.request("POST", path, request)["status"]["token"]
        return kubeconfig.write_with_token(
            self._tokens / f"{namespace}-{service_account}",
            url=self.url,
            ca_file=self.ca_file,
            token=token,
            namespace=namespace,
        )

    def audit_position(self) -> int:
        """Where the audit log ends now, for ``audit(since=...)``."""
        return self.audit_log.stat().st_size

    def audit(self, *, since: int = 0) -> Iterator[dict[str, Any]]:
        """Complete entries of the audit log written after the position ``since`` (bytes), oldest first.

        An entry is written by the request itself, at the end of its answer; a watch has two, ``stage``
        ``ResponseStarted`` and, when it ends, ``ResponseComplete``.
        """
        return audit_log.entries(self.audit_log, since=since)


def _tls(ca_file: Path, client: KeyPair) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(ca_file))
    context.load_cert_chain(client.certificate, client.key)
    return context
