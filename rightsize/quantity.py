"""Kubernetes quantities <-> cores and bytes: the only place that reads or writes them.

The grammar is that of `k8s.io/apimachinery/pkg/api/resource/quantity.go`: a decimal number and
one suffix of `m`, the decimal SI set, the binary set, or an exponent.
"""

from __future__ import annotations

import math
import re
from decimal import ROUND_CEILING, Decimal

_SUFFIXES: dict[str, Decimal] = {
    "n": Decimal("1e-9"),
    "u": Decimal("1e-6"),
    "m": Decimal("1e-3"),
    "": Decimal(1),
    "k": Decimal(10) ** 3,
    "M": Decimal(10) ** 6,
    "G": Decimal(10) ** 9,
    "T": Decimal(10) ** 12,
    "P": Decimal(10) ** 15,
    "E": Decimal(10) ** 18,
    "Ki": Decimal(2) ** 10,
    "Mi": Decimal(2) ** 20,
    "Gi": Decimal(2) ** 30,
    "Ti": Decimal(2) ** 40,
    "Pi": Decimal(2) ** 50,
    "Ei": Decimal(2) ** 60,
}
_QUANTITY = re.compile(
    r"([+-]?(?:\d+\.?\d*|\.\d+))(?:([eE][+-]?\d{1,9})|(n|u|m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?)"
)
_LARGEST = 2**63 - 1
"""What the API server stores of a larger quantity (quantity.go, `ParseQuantity`)."""
MEBIBYTE = 2**20
GIBIBYTE = 2**30


def parse_quantity(text: str | int | float) -> float:
    """Return the value of a Kubernetes quantity in its base unit (cores or bytes).

    Raises
    ------
    ValueError
        For anything the API server would refuse, blanks inside or around included.

    Examples
    --------
    >>> parse_quantity("250m"), parse_quantity("1.5Gi"), parse_quantity(2)
    (0.25, 1610612736.0, 2.0)
    """
    if isinstance(text, bool):
        raise ValueError(f"not a quantity: {text!r}")
    match = _QUANTITY.fullmatch(str(text))
    if match is None:
        raise ValueError(f"not a Kubernetes quantity: {text!r}")
    number, exponent, suffix = match.groups()
    value = Decimal(number + exponent) if exponent else Decimal(number) * _SUFFIXES[suffix or ""]
    return float(max(min(value, Decimal(_LARGEST)), Decimal(-_LARGEST)))


def format_cpu(cores: float) -> str:
    """Cores as a person writes them: `35m`, `2`, `1500m`; never below one millicore's precision.

    >>> format_cpu(0.035), format_cpu(2.0), format_cpu(1.5)
    ('35m', '2', '1500m')

    What is below a nanocore, Kubernetes' smallest unit, is an error of sums and no millicore more.
    """
    milli = int((Decimal(repr(round(float(cores), 9))) * 1000).to_integral_value(ROUND_CEILING))
    return str(milli // 1000) if milli and milli % 1000 == 0 else f"{milli}m"


def format_memory(size: float) -> str:
    """Bytes as a person writes them, in the largest binary unit that is exact, from Mi up.

    >>> format_memory(134217728), format_memory(2 * 2**30), format_memory(1536 * 2**20)
    ('128Mi', '2Gi', '1536Mi')
    """
    mebibytes = math.ceil(size / MEBIBYTE - 1e-9)
    return f"{mebibytes // 1024}Gi" if mebibytes and mebibytes % 1024 == 0 else f"{mebibytes}Mi"


def round_up_cpu(cores: float) -> float:
    """The next CPU value a person would write: steps of 1m to 20m, 5m to 100m, then about 5 %.

    >>> [round_up_cpu(c) for c in (0.0123, 0.0412, 0.123, 1.23)]
    [0.013, 0.045, 0.13, 1.3]
    """
    milli = cores * 1000
    return _ceil_to(milli, _cpu_step(milli)) / 1000


def round_up_memory(size: float) -> float:
    """The next memory value a person would write: steps of 4Mi to 64Mi, 8Mi to 256Mi, then larger.

    >>> [format_memory(round_up_memory(m * 2**20)) for m in (41, 77, 300, 1500)]
    ['44Mi', '80Mi', '304Mi', '1536Mi']
    """
    mebibytes = size / MEBIBYTE
    return _ceil_to(mebibytes, _memory_step(mebibytes)) * MEBIBYTE


def _cpu_step(milli: float) -> int:
    for ceiling, step in ((20, 1), (100, 5), (500, 10), (1000, 50), (4000, 100)):
        if milli <= ceiling:
            return step
    return 500


def _memory_step(mebibytes: float) -> int:
    for ceiling, step in ((64, 4), (256, 8), (512, 16), (1024, 32), (4096, 128)):
        if mebibytes <= ceiling:
            return step
    return 256


def _ceil_to(value: float, step: int) -> float:
    return math.ceil(value / step - 1e-9) * step
