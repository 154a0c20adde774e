"""What a dry run says against a change."""

from __future__ import annotations

import pytest

from talkdesk_crds.conditions import Reason
from talkdesk_kube.errors import Cause, KubeError, Status, error_of
from talkdesk_operator.failures import Kind, of_kube, of_rehearsal

CLAIM = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data"}}
OVER = 'configmaps "a" is forbidden: exceeded quota: tenant, requested: pods=1, used: pods=1, limited: pods=1'


def refused(code: int, message: str, *causes: Cause) -> KubeError:
    return error_of(Status(code, "Any", message, causes), method="PATCH", path="/api/v1/x")


def test_a_refusal_names_the_object_and_the_field() -> None:
    cause = Cause("spec.resources.requests.storage", "FieldValueForbidden", "Forbidden: cannot shrink")
    failure = of_rehearsal(refused(422, "a long story", cause, cause), CLAIM)
    assert failure is not None
    assert (failure.kind, failure.reason) == (Kind.PERMANENT, Reason.CHANGE_REFUSED)
    assert failure.message == (
        "PersistentVolumeClaim data cannot be changed: "
        "spec.resources.requests.storage: Forbidden: cannot shrink"
    )


def test_a_refusal_without_a_field_has_the_servers_words() -> None:
    failure = of_rehearsal(refused(403, "only dynamically provisioned claims can be resized"), CLAIM)
    assert failure is not None
    assert failure.message.endswith("cannot be changed: only dynamically provisioned claims can be resized")


@pytest.mark.parametrize("code", [401, 409, 429, 500, 503])
def test_what_passes_by_itself_is_no_refusal(code: int) -> None:
    failure = of_rehearsal(refused(code, "later"), CLAIM)
    assert failure is not None
    assert (failure.kind, failure.reason) == (Kind.TRANSIENT, Reason.APPLY_RETRYING)


def test_a_quota_says_nothing_in_a_rehearsal_and_is_waited_for_in_earnest() -> None:
    assert of_rehearsal(refused(403, OVER), CLAIM) is None
    assert of_kube(refused(403, OVER), tenant_age=1e6).kind is Kind.TRANSIENT
    assert of_kube(refused(403, "no right to it"), tenant_age=1e6).kind is Kind.PERMANENT
