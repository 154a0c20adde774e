"""What Envoy answers by itself: a page with a reference for people, a line for programs; never nothing."""

from __future__ import annotations

from importlib import resources

from talkdesk_gateway.envoy.names import VERDICT, Json

_BUSY = {"header": {"key": "retry-after", "value": "5"}, "append_action": "ADD_IF_ABSENT"}
_NO_STORE = {"header": {"key": "cache-control", "value": "no-store"}, "append_action": "ADD_IF_ABSENT"}
_LINE = "%RESPONSE_CODE%: the request could not be answered. Reference: %REQ(X-REQUEST-ID)%\n"


def replies() -> Json:
    """Mappers; the first that fits counts.

    An answer of the decision goes through here as well and keeps its body, for it is a page already.
    """
    page = resources.files(__package__).joinpath("page.html").read_text(encoding="utf-8")
    as_page: Json = {
        "content_type": "text/html; charset=utf-8",
        "text_format_source": {"inline_string": page},
    }
    as_line: Json = {
        "content_type": "text/plain; charset=utf-8",
        "text_format_source": {"inline_string": _LINE},
    }
    return {
        "mappers": [
            _mapper(_both(_decided(), _unavailable()), status=503, headers=[_BUSY]),
            _mapper(_both(_undecided(), _wants_page()), status=503, body=as_page, headers=[_BUSY, _NO_STORE]),
            _mapper(_undecided(), status=503, body=as_line, headers=[_BUSY, _NO_STORE]),
            _mapper(_decided()),
            _mapper(_both(_status("EQ", 503), _wants_page()), body=as_page, headers=[_BUSY, _NO_STORE]),
            _mapper(_both(_status("GE", 400), _wants_page()), body=as_page, headers=[_NO_STORE]),
            _mapper(_status("EQ", 503), body=as_line, headers=[_BUSY, _NO_STORE]),
            _mapper(_status("GE", 400), body=as_line, headers=[_NO_STORE]),
        ]
    }


def _mapper(
    condition: Json, *, status: int | None = None, body: Json | None = None, headers: list[Json] | None = None
) -> Json:
    mapper: Json = {"filter": condition}
    if status is not None:
        mapper["status_code"] = status
    if body is not None:
        mapper["body_format_override"] = body
    if headers:
        mapper["headers_to_add"] = headers
    return mapper


def _both(*conditions: Json) -> Json:
    return {"and_filter": {"filters": list(conditions)}}


def _status(operator: str, code: int) -> Json:
    comparison = {"op": operator, "value": {"default_value": code, "runtime_key": f"talkdesk.status.{code}"}}
    return {"status_code_filter": {"comparison": comparison}}


def _decided() -> Json:
    """The decision refused, or there was none: both bear this flag."""
    return {"response_flag_filter": {"flags": ["UAEX"]}}


def _undecided() -> Json:
    return _both(_decided(), _status("EQ", 504))


def _unavailable() -> Json:
    """The decision asks for a 503: one of its own Envoy would take for no decision at all."""
    matcher = {
        "filter": VERDICT,
        "path": [{"key": "x-td-status"}],
        "value": {"string_match": {"exact": "503"}},
    }
    return {"metadata_filter": {"matcher": matcher, "match_if_key_not_found": False}}


def _wants_page() -> Json:
    return {"header_filter": {"header": {"name": "accept", "string_match": {"contains": "text/html"}}}}
