"""Kubernetes quantities as numbers, for ``resourceFieldRef`` (pure)."""

from __future__ import annotations

import math
from decimal import Decimal, InvalidOperation

_SUFFIXES = {
    "n": Decimal("1e-9"), "u": Decimal("1e-6"), "m": Decimal("1e-3"), "": Decimal(1),
    "k": Decimal(10**3), "M": Decimal(10**6), "G": Decimal(10**9), "T": Decimal(10**12), "P": Decimal(10**15), "E": Decimal(10**18),
    "Ki": Decimal(2**10), "Mi": Decimal(2**20), "Gi": Decimal(2**30), "Ti": Decimal(2**40), "Pi": Decimal(2**50), "Ei": Decimal(2**60),
}  # fmt: skip


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
