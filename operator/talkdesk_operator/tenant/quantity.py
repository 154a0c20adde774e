"""Kubernetes quantities as numbers. Pure.

The `kubernetes` library reads them as well, and brings 250 modules; the tests compare.
"""

from __future__ import annotations

import re
from decimal import Decimal

_QUANTITY = re.compile(
    r"(?P<number>[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+))(?:[eE](?P<exponent>[+-]?[0-9]{1,3})|(?P<suffix>[A-Za-z]*))"
)
_SUFFIXES = {
    "n": Decimal("1e-9"),
    "u": Decimal("1e-6"),
    "m": Decimal("1e-3"),
    "": Decimal(1),
    **{suffix: Decimal(1000) ** power for power, suffix in enumerate("kMGTPE", start=1)},
    **{f"{suffix}i": Decimal(1024) ** power for power, suffix in enumerate("KMGTPE", start=1)},
}


def parse(text: str) -> Decimal | None:
    """``"250m"`` -> 0.25, ``"1Gi"`` -> 1073741824; None for what is none."""
    found = _QUANTITY.fullmatch(text)
    if found is None or (found["suffix"] or "") not in _SUFFIXES:
        return None
    number = Decimal(found["number"])
    return number.scaleb(int(found["exponent"])) if found["exponent"] else number * _SUFFIXES[found["suffix"]]
