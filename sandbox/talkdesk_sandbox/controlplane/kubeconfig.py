"""Kubeconfig files for this control plane."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

from talkdesk_sandbox.certificates import KeyPair, write_private

if TYPE_CHECKING:
    from pathlib import Path


def _write(path: Path, *, url: str, ca_file: Path, user: dict[str, Any], namespace: str) -> Path:
    name = "talkdesk-sandbox"
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": {"server": url, "certificate-authority": str(ca_file)}}],
        "users": [{"name": name, "user": user}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name, "namespace": namespace}}],
        "current-context": name,
    }
    return write_private(path, yaml.safe_dump(config, sort_keys=False).encode())


def write_with_certificate(path: Path, *, url: str, ca_file: Path, client: KeyPair) -> Path:
    """Write a kubeconfig whose user shows the client certificate ``client``."""
    user = {"client-certificate": str(client.certificate), "client-key": str(client.key)}
    return _write(path, url=url, ca_file=ca_file, user=user, namespace="default")


def write_with_token(path: Path, *, url: str, ca_file: Path, token: str, namespace: str) -> Path:
    """Write a kubeconfig whose user shows ``token``: inline, and in the file ``path``.token beside it.

    Kopf reads only the inline token; other clients prefer the file, which may be renewed.
    """
    token_file = write_private(path.with_name(f"{path.name}.token"), token.encode())
    user = {"token": token, "tokenFile": str(token_file)}
    return _write(path, url=url, ca_file=ca_file, user=user, namespace=namespace)
