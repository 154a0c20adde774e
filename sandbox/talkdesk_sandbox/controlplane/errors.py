"""What can go wrong with the local control plane, each with what to do about it in its one line."""

from __future__ import annotations

import json


class ControlPlaneError(RuntimeError):
    """Base of every error of this package; its text is one line for a person, details follow it."""


class AssetsError(ControlPlaneError):
    """The programs (etcd, kube-apiserver, ...) are not there and cannot be built."""


class StartError(ControlPlaneError):
    """A program of the control plane ended, or was not ready in time; carries the end of its log."""


class RequestError(ControlPlaneError):
    """The API server refused a request; ``code`` is the HTTP status, ``reason`` that of its Status object."""

    def __init__(self, *, method: str, path: str, code: int, text: str) -> None:
        try:
            status = json.loads(text)
        except ValueError:
            status = {"message": text[:200]}
        super().__init__(f"{method} {path}: HTTP {code}: {status.get('message', '')}")
        self.code = code
        self.reason: str = status.get("reason", "")


class CommandError(ControlPlaneError):
    """kubectl or helm answered with a non-zero exit code.

    ``command`` is the program's name with its sub-command, ``exit_code`` its exit code, ``stderr`` what it
    said. Input is never shown, for it may hold a Secret.
    """

    def __init__(self, *, command: str, exit_code: int, stderr: str) -> None:
        super().__init__(f"{command}: exit code {exit_code}: {stderr.strip()}")
        self.command = command
        self.exit_code = exit_code
        self.stderr = stderr
