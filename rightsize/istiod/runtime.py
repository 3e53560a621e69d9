"""What limits do to istiod's Go runtime, to its pushes, and to the proxies that reconnect.

Sources, in istio/istio at the release tags: `manifests/charts/istio-control/istio-discovery/
templates/deployment.yaml` (GOMEMLIMIT from 1.18 to 1.28, GOMAXPROCS from 1.20 on), release note
`gomemlimit-90-percent` (1.29), `pilot/pkg/features/tuning.go` (pushes at once and connections).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from rightsize.istiod.pilot_settings import minor_release, push_throttle
from rightsize.quantity import format_cpu, format_memory
from rightsize.results import Sizes

_FIXED_RATE = 25.0
"""Connections a second up to 1.20, whatever the cores."""
_AUTOMATIC_FROM = (1, 21)
_GO_PROCESSORS_FROM = (1, 20)
_SOFT_LIMIT_FROM = (1, 29)


@dataclass(frozen=True, slots=True)
class RuntimeLimits:
    """One istiod pod under its limits. None where release or cores are unknown."""

    pushes_at_once: float | None
    connections_per_second: float | None
    reconnect_seconds: float | None
    """Until all proxies of the mesh have connected again to a single pod."""
    go_memory_limit: float | None
    """GOMEMLIMIT in bytes; None without a memory limit."""


def runtime_limits(
    sizes: Sizes, *, istio_version: str | None, proxies: float | None, node_cores: float | None
) -> RuntimeLimits:
    """Return what the release makes of these sizes.

    Parameters
    ----------
    sizes : Sizes
        Of one pod: cores and bytes.
    proxies : float or None
        Of the whole mesh.
    node_cores : float or None
        Cores of the node, which count where no CPU limit does.
    """
    release = minor_release(istio_version)
    cores = node_cores
    if sizes.cpu_limit is not None and release is not None and release >= _GO_PROCESSORS_FROM:
        cores = float(max(1, math.ceil(sizes.cpu_limit)))
    rate = None
    if release is not None:
        rate = _FIXED_RATE if release < _AUTOMATIC_FROM else push_throttle(istio_version, cores)
    share = 0.9 if release is not None and release >= _SOFT_LIMIT_FROM else 1.0
    return RuntimeLimits(
        pushes_at_once=push_throttle(istio_version, cores),
        connections_per_second=rate,
        reconnect_seconds=None if rate is None or proxies is None else proxies / rate,
        go_memory_limit=None if sizes.memory_limit is None else share * sizes.memory_limit,
    )


def runtime_text(found: RuntimeLimits, sizes: Sizes, proxies: float | None) -> tuple[str, ...]:
    """The same in sentences."""
    texts = []
    if found.pushes_at_once is not None and found.reconnect_seconds is not None:
        under = (
            "no CPU limit" if sizes.cpu_limit is None else f"limit {format_cpu(sizes.cpu_limit)}"
        )
        texts.append(
            f"with {under} one pod runs {found.pushes_at_once:.0f} pushes at once and accepts "
            f"{found.connections_per_second:.0f} connections a second: {proxies:,.0f} proxies "
            f"reconnect to it within {max(1.0, found.reconnect_seconds):.0f} s at the earliest "
            "(PILOT_PUSH_THROTTLE, PILOT_MAX_REQUESTS_PER_SECOND)"
        )
    if found.go_memory_limit is not None:
        texts.append(
            f"GOMEMLIMIT is {format_memory(found.go_memory_limit)}: near it Go collects garbage more "
            "often, so that a memory limit that is too small shows as CPU first"
        )
    return tuple(texts)
