"""How long configuration takes to reach the proxies of a shard, predicted from the whole istiod."""

from __future__ import annotations

from rightsize.istiod.model import MeshLoad
from rightsize.istiod.propagation import Propagation
from rightsize.namespaces.shards import Shard
from rightsize.results import Interval

_WAITED = ("debounce",)
"""Stages that wait for a quiet time, whatever the load."""


def predicted_delay(
    found: Propagation, now: MeshLoad, replicas: float, shard: Shard
) -> Interval | None:
    """p99 of `pilot_proxy_convergence_time` in a shard, in seconds.

    What is no waiting scales with the work of one pod. At best it follows both the proxies that a pod
    serves and the services that each of them is sent; in the middle the proxies alone; at worst it
    stays what it is, since a single slow proxy or network is not made faster by a shard.

    Parameters
    ----------
    found : Propagation
        Of the istiod in use.
    replicas : float
        Its pods.

    Returns
    -------
    Interval or None
        None where propagation or its stages were not seen.
    """
    whole = found.convergence.p99
    waits = {stage.stage: stage.delay.p99 for stage in found.stages}
    if whole is None or not waits:
        return None
    waited = sum(p99.value for name, p99 in waits.items() if name in _WAITED and p99 is not None)
    waited = min(waited, whole.value)
    moving = whole.value - waited
    proxies = _share(shard.load.proxies / shard.plan.replicas, now.proxies / max(replicas, 1.0))
    services = _share(shard.load.services, now.services)
    return Interval(
        waited + moving * proxies * services, waited + moving * proxies, waited + moving
    )


def _share(part: float, whole: float) -> float:
    return min(part / whole, 1.0) if whole > 0 else 1.0
