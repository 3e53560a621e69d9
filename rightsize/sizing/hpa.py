"""How a new request moves a HorizontalPodAutoscaler, and the target that keeps its scale point.

A Resource metric compares the usage of all containers of a pod with the sum of their requests
(kubernetes/kubernetes, pkg/controller/podautoscaler/metrics/utilization.go), so a smaller sidecar
request raises the utilisation of an unchanged pod.
"""

from __future__ import annotations

import math

TOLERANCE = 0.1
"""`--horizontal-pod-autoscaler-tolerance`: no scaling while the ratio is within 10 % of one."""


def kept_target(target: float, request: float, new_request: float) -> int:
    """Return the target utilisation, in whole percent, that keeps the usage at the scale point.

    Rounded down, so that the autoscaler acts a little earlier rather than later.

    >>> kept_target(70, 0.6, 0.55)
    76
    """
    return max(1, math.floor(target * request / new_request + 1e-9))


def desired_replicas(replicas: int, usage: float, request: float, target: float) -> int:
    """Return the replicas the HPA's rule asks for.

    Parameters
    ----------
    replicas : int
        Replicas now.
    usage, request : float
        Mean usage and request of a pod, in cores or bytes.
    target : float
        Target utilisation in percent.

    Notes
    -----
    `ceil(replicas * utilisation / target)`, unless the ratio is within the tolerance
    (kubernetes.io, "Horizontal Pod Autoscaling", algorithm details).
    """
    ratio = (usage / request * 100) / target
    return replicas if abs(ratio - 1) <= TOLERANCE else math.ceil(replicas * ratio - 1e-9)
