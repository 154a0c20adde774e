"""The command lines of etcd, kube-apiserver and kube-controller-manager: functions from values to values."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from talkdesk_sandbox.controlplane.network import ADVERTISED_ADDRESS

if TYPE_CHECKING:
    from pathlib import Path

    from talkdesk_sandbox.certificates import KeyPair

AuditLevel = Literal["Metadata", "Request", "RequestResponse"]

# An unknown name is fatal to the manager. Left out on purpose: node-lifecycle and taint eviction (nobody
# sends heartbeats), and everything for clouds, attached disks and certificates of kubelets.
CONTROLLERS = (
    "clusterrole-aggregation-controller",
    "cronjob-controller",
    "daemonset-controller",
    "deployment-controller",
    "disruption-controller",
    "endpoints-controller",
    "endpointslice-controller",
    "endpointslice-mirroring-controller",
    "ephemeral-volume-controller",
    "garbage-collector-controller",
    "horizontal-pod-autoscaler-controller",
    "job-controller",
    "namespace-controller",
    "persistentvolume-binder-controller",
    "persistentvolume-protection-controller",
    "persistentvolumeclaim-protection-controller",
    "pod-garbage-collector-controller",
    "replicaset-controller",
    "replicationcontroller-controller",
    "resourcequota-controller",
    "root-ca-certificate-publisher-controller",
    "serviceaccount-controller",
    "serviceaccount-token-controller",
    "statefulset-controller",
    "ttl-after-finished-controller",
    "validatingadmissionpolicy-status-controller",
)


@dataclass(frozen=True)
class Files:
    """Every file and folder the programs are told of; all of them private to this control plane."""

    data: Path
    audit_log: Path
    audit_policy: Path
    ca: Path
    serving: KeyPair
    etcd: KeyPair
    kubelet_client: KeyPair
    service_account_key: Path
    manager_kubeconfig: Path
    unused: Path


@dataclass(frozen=True)
class Ports:
    """Ports on 127.0.0.1."""

    etcd: int
    etcd_peer: int
    apiserver: int
    manager: int


def audit_policy(level: AuditLevel) -> str:
    """An audit policy (JSON is YAML): an entry at the end of each answer, for watches also at its begin."""
    return json.dumps(
        {
            "apiVersion": "audit.k8s.io/v1",
            "kind": "Policy",
            "omitStages": ["RequestReceived"],
            "rules": [{"level": level}],
        },
        indent=2,
    )


def etcd(program: Path, files: Files, ports: Ports, *, unsafe_no_fsync: bool) -> list[str]:
    """Command line of a single-member etcd that speaks to holders of a certificate of ``files.ca`` only."""
    client = f"https://127.0.0.1:{ports.etcd}"
    peer = f"https://127.0.0.1:{ports.etcd_peer}"
    return [
        str(program),
        "--name=sandbox",
        f"--data-dir={files.data}",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=sandbox={peer}",
        "--client-cert-auth",
        f"--trusted-ca-file={files.ca}",
        f"--cert-file={files.etcd.certificate}",
        f"--key-file={files.etcd.key}",
        "--peer-client-cert-auth",
        f"--peer-trusted-ca-file={files.ca}",
        f"--peer-cert-file={files.etcd.certificate}",
        f"--peer-key-file={files.etcd.key}",
        "--log-level=warn",
        *(["--unsafe-no-fsync"] if unsafe_no_fsync else []),
    ]


def apiserver(program: Path, files: Files, ports: Ports, *, service_cidr: str) -> list[str]:
    """Command line of kube-apiserver: RBAC only, nobody anonymous, every request in the audit log."""
    return [
        str(program),
        "--bind-address=127.0.0.1",
        f"--secure-port={ports.apiserver}",
        f"--advertise-address={ADVERTISED_ADDRESS}",
        f"--service-cluster-ip-range={service_cidr}",
        f"--etcd-servers=https://127.0.0.1:{ports.etcd}",
        f"--etcd-cafile={files.ca}",
        f"--etcd-certfile={files.etcd.certificate}",
        f"--etcd-keyfile={files.etcd.key}",
        f"--tls-cert-file={files.serving.certificate}",
        f"--tls-private-key-file={files.serving.key}",
        f"--client-ca-file={files.ca}",
        f"--cert-dir={files.unused}",
        "--anonymous-auth=false",
        "--authorization-mode=RBAC",
        "--allow-privileged=true",
        "--profiling=false",
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        f"--service-account-key-file={files.service_account_key}",
        f"--service-account-signing-key-file={files.service_account_key}",
        f"--kubelet-client-certificate={files.kubelet_client.certificate}",
        f"--kubelet-client-key={files.kubelet_client.key}",
        f"--kubelet-certificate-authority={files.ca}",
        "--kubelet-preferred-address-types=InternalIP",
        f"--audit-log-path={files.audit_log}",
        f"--audit-policy-file={files.audit_policy}",
        "--audit-log-format=json",
        # Written by the request itself, not in batches: tests count entries.
        "--audit-log-mode=blocking",
        # Megabytes; 0 would begin a new file at each 100 of them, and readers hold positions in this one.
        "--audit-log-maxsize=1000000",
    ]


def controller_manager(program: Path, files: Files, ports: Ports) -> list[str]:
    """Command line of kube-controller-manager."""
    return [
        str(program),
        "--bind-address=127.0.0.1",
        f"--secure-port={ports.manager}",
        f"--tls-cert-file={files.serving.certificate}",
        f"--tls-private-key-file={files.serving.key}",
        f"--kubeconfig={files.manager_kubeconfig}",
        f"--authorization-kubeconfig={files.manager_kubeconfig}",
        # Nobody logs in to it; looking up how they would fills its log with errors.
        "--authentication-skip-lookup=true",
        "--leader-elect=false",
        "--use-service-account-credentials=true",
        f"--service-account-private-key-file={files.service_account_key}",
        f"--root-ca-file={files.ca}",
        # By default four seconds are lost waiting for its own limit.
        "--kube-api-qps=1000",
        "--kube-api-burst=1000",
        f"--controllers={','.join(CONTROLLERS)}",
        f"--flex-volume-plugin-dir={files.unused}",
        f"--cert-dir={files.unused}",
        "--profiling=false",
    ]
