from __future__ import annotations

import json
from typing import Any

import pytest

from talkdesk_kube import errors

CANARY = "canary-5b1c"


def status(code: int, reason: str, **details: Any) -> bytes:
    return json.dumps(
        {
            "kind": "Status",
            "status": "Failure",
            "code": code,
            "reason": reason,
            "message": "m",
            "details": details,
        }
    ).encode()


@pytest.mark.parametrize(
    ("code", "reason", "kind", "transient"),
    [
        (400, "BadRequest", errors.KubeError, False),
        (401, "Unauthorized", errors.Unauthorized, True),
        (403, "Forbidden", errors.Forbidden, False),
        (404, "NotFound", errors.NotFound, False),
        (409, "AlreadyExists", errors.AlreadyExists, False),
        (409, "Conflict", errors.Conflict, True),
        (410, "Expired", errors.Gone, True),
        (413, "RequestEntityTooLarge", errors.KubeError, False),
        (422, "Invalid", errors.Invalid, False),
        (429, "TooManyRequests", errors.TooManyRequests, True),
        (500, "InternalError", errors.ServerError, True),
        (503, "ServiceUnavailable", errors.ServerError, True),
        (504, "Timeout", errors.ServerError, True),
    ],
)
def test_each_answer_has_its_class_and_says_whether_to_repeat(
    code: int, reason: str, kind: type[errors.KubeError], transient: bool
) -> None:
    error = errors.error_of(
        errors.parse_status(code, status(code, reason)), method="GET", path="/api/v1/pods"
    )
    assert type(error) is kind
    assert error.transient is transient


def test_causes_carry_the_paths_of_the_fields() -> None:
    body = status(
        422, "Invalid", causes=[{"field": "spec.a[0]", "reason": "FieldValueInvalid", "message": "no"}]
    )
    assert errors.parse_status(422, body).causes == (errors.Cause("spec.a[0]", "FieldValueInvalid", "no"),)


def test_a_terminating_namespace_is_a_transient_refusal() -> None:
    body = status(
        403, "Forbidden", causes=[{"field": "metadata.namespace", "reason": "NamespaceTerminating"}]
    )
    error = errors.error_of(errors.parse_status(403, body), method="POST", path="/x")
    assert isinstance(error, errors.Forbidden)
    assert error.namespace_terminating
    assert error.transient


@pytest.mark.parametrize(
    ("header", "details", "seconds"),
    [
        ("7", {}, 7.0),
        (None, {"retryAfterSeconds": 3}, 3.0),
        (None, {}, None),
        ("soon", {}, None),
        ("inf", {}, None),
    ],
)
def test_the_wait_comes_from_the_header_or_from_the_details(
    header: str | None, details: dict[str, Any], seconds: float | None
) -> None:
    parsed = errors.parse_status(429, status(429, "TooManyRequests", **details), retry_after=header)
    assert errors.error_of(parsed, method="GET", path="/x").retry_after == seconds


def test_what_a_proxy_answered_is_an_error_all_the_same() -> None:
    error = errors.error_of(errors.parse_status(502, b"<html>bad\ngateway"), method="GET", path="/x")
    assert isinstance(error, errors.ServerError)
    assert str(error) == "GET /x: 502 Unknown: <html>bad gateway"
    assert errors.parse_status(404, b"[1]").message == "[1]"


def test_a_refused_secret_is_told_by_its_fields_without_quoting_them() -> None:
    body = json.dumps(
        {
            "kind": "Status",
            "code": 422,
            "reason": "Invalid",
            "message": f'data[x]: Invalid value: "{CANARY}"',
            "details": {"causes": [{"field": "data[x]", "reason": "FieldValueInvalid", "message": CANARY}]},
        }
    ).encode()
    parsed = errors.parse_status(422, body)
    error = errors.error_of(parsed, method="POST", path="/api/v1/namespaces/n/secrets")
    assert "data[x]" in str(error)
    for shown in (str(error), repr(error), repr(error.status), repr(error.args)):
        assert CANARY not in shown
