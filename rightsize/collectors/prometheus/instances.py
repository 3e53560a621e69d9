"""EC2 instance types from the size of a machine, where nothing names them.

Several families share a size, so this is a stand-in of the right shape, marked `inferred` in the
snapshot: the first of the families below that has a type of that size.
"""

from __future__ import annotations

from functools import cache

from rightsize.prices.catalogue import instance_types

_FAMILIES = ("m5", "c5", "r5", "m6g", "c6g", "r6g", "t3", "t4g", "m6i", "c6i", "r6i", "i3", "x1")
# What firmware and kernel keep for themselves: an m5.xlarge of 16 GiB shows 15.3 to 15.6 GiB.
_SHOWN_SHARE = (0.90, 1.0)


@cache
def inferred_type(cpu: float, memory: float, arch: str | None) -> str | None:
    """Return the usual instance type with this capacity, None if there is none.

    Parameters
    ----------
    cpu : float
        Cores the node shows.
    memory : float
        Bytes the node shows.
    arch : str or None
        `amd64` or `arm64`; None counts as amd64.
    """
    types = instance_types()
    share = memory / types["memory"]
    fits = types[
        (types["vcpu"] == cpu)
        & (types["arch"] == (arch or "amd64"))
        & (share >= _SHOWN_SHARE[0])
        & (share <= _SHOWN_SHARE[1])
    ]
    for family in _FAMILIES:
        found = fits[fits["family"] == family]
        if len(found):
            return str(found["instance_type"].iloc[0])
    return None
