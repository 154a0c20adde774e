"""What an error of the API server means while a tenant is applied."""

from __future__ import annotations

from talkdesk_crds.conditions import Reason
from talkdesk_kube import KubeError, ServerError
from talkdesk_kube.errors import Status
from talkdesk_operator.failures import of_kube


def server_error(message: str) -> KubeError:
    return ServerError(Status(500, "Unknown", message), "PATCH", "/apis/apps/v1/…/demo")


def test_a_field_of_the_wrong_type_is_permanent_although_the_server_calls_it_its_own_error() -> None:
    message = "failed to create typed patch object (…): .value: expected string, got 8080"
    failure = of_kube(server_error(message), tenant_age=1.0)
    assert failure.permanent
    assert failure.reason is Reason.APPLY_FAILED
    assert message in failure.message


def test_any_other_server_error_is_tried_again() -> None:
    failure = of_kube(server_error("etcdserver: request timed out"), tenant_age=900.0)
    assert not failure.permanent
    assert failure.reason is Reason.APPLY_RETRYING
