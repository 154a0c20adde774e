"""The body of a success, as JSON and as a model. What does not fit is UnexpectedAnswer, never shown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ValidationError

from talkdesk_client.decoding import loads
from talkdesk_client.errors import UnexpectedAnswer

if TYPE_CHECKING:
    from talkdesk_client.wire import Answer

ModelT = TypeVar("ModelT", bound=BaseModel)


def is_empty(answer: Answer) -> bool:
    """No body, or one that says nothing: ``null``, ``{}``."""
    return answer.body.strip() in (b"", b"null", b"{}")


def json_object(answer: Answer) -> Mapping[str, Any]:
    """The body, which must be a JSON object."""
    found = _object(answer.body)
    if found is None:
        raise unexpected(answer, "no JSON object")
    return found


def validated(model: type[ModelT], answer: Answer) -> ModelT:
    """The body, which must be a JSON object, as ``model``. No frame it raises from holds the body's parts."""
    result = _read(model, _object(answer.body))
    if isinstance(result, str):
        raise unexpected(answer, f"no {model.__name__} ({result})")
    return result


def validated_part(model: type[ModelT], value: object, answer: Answer) -> ModelT:
    """``value``, a part of the body of ``answer``, as ``model``."""
    result = _read(model, value)
    if isinstance(result, str):
        raise unexpected(answer, f"no {model.__name__} ({result})")
    return result


def unexpected(answer: Answer, problem: str) -> UnexpectedAnswer:
    """To be raised: ``answer`` is a success, but holds ``problem``."""
    return UnexpectedAnswer(
        f"{answer.method} {answer.url} was answered {answer.status} with {problem}",
        method=answer.method,
        url=answer.url,
        status=answer.status,
        outcome_unknown=answer.is_change,
    )


def _object(body: bytes) -> Mapping[str, Any] | None:
    """None for what is no JSON object. Nothing is raised: the decoder's exception carries the whole body."""
    try:
        value = loads(body)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, Mapping) else None


def _read(model: type[ModelT], value: object) -> ModelT | str:
    """The model, or where and how ``value`` fails it."""
    if value is None:
        return "no JSON object"
    try:
        return model.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False, include_context=False)[0]
        where = ".".join(str(part)[:32] for part in first["loc"]) or "body"
        return f"{ascii(where)[1:-1]}: {first['type']}"
    except RecursionError:
        return "nested too deeply"
