"""Kubernetes quantities as numbers, for ``resourceFieldRef`` (pure)."""

from __future__ import annotations

import math
from decimal import Decimal, InvalidOperation

_SUFFIXES = {
    "n": Decimal("1e-9"),
    "u": Decimal("1e-6"),
    "m": Decimal("1e-3"),
    "": Decimal(1),
    **{suffix: Decimal(1000) ** power for power, suffix in enumerate("kMGTPE", start=1)},
    **{f"{suffix}i": Decimal(1024) ** power for power, suffix in enumerate("KMGTPE", start=1)},
}


def quantity(text: str) -> Decimal:
    """``"250m"`` → 0.25, ``"1Gi"`` → 1073741824; raises ValueError."""
    for length in (2, 1, 0):
        suffix = text[len(text) - length :] if length else ""
        if suffix in _SUFFIXES:
            try:
                return Decimal(text[: len(text) - length]) * _SUFFIXES[suffix]
            except InvalidOperation:
                continue
    raise ValueError(f"not a quantity: {text!r}")


def in_units(amount: str, divisor: str) -> str:
    """``amount`` in units of ``divisor`` ("" and "0" mean 1), rounded up as the kubelet does."""
    unit = quantity(divisor or "1") or Decimal(1)
    return str(math.ceil(quantity(amount) / unit))
