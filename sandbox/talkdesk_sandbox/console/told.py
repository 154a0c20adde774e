"""What is wrong with a form, in one line."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import ValidationError


def told(wrong: ValidationError) -> str:
    """Field and fault, without the value."""
    return "; ".join(
        f"{'.'.join(str(part) for part in error['loc']) or 'form'}: {error['msg']}"
        for error in wrong.errors(include_input=False, include_context=False, include_url=False)
    )
