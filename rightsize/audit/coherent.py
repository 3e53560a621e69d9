"""Fixes that fit what stands beside them: request <= limit, minimum <= maximum, a version that is served."""

from __future__ import annotations

from rightsize.audit.tree import Node
from rightsize.files.known import Version
from rightsize.quantity import parse_quantity

_V1: Version = (1, 22)
"""First release that serves `v1` of every Istio kind (`manifests/charts/base`)."""
CHART_MOST = 5.0
"""Maximum of replicas in the charts of istiod and of the gateway, 1.18 to 1.30."""
_BEFORE = {"telemetry": "v1alpha1"}


def amount(node: Node | None) -> float | None:
    """A quantity in cores or bytes; None where there is none, or it is none."""
    try:
        return None if node is None else parse_quantity(node.text or "")
    except ValueError:
        return None


def request_raised(resources: Node | None, resource: str, text: str, hint: str) -> str:
    """The request at `text`, with the limit where it would be below.

    `resources` is the block of the container, where it is known.
    """
    limit = amount(None if resources is None else resources.get("limits", resource))
    if not limit or limit >= parse_quantity(text):
        return f"{resource}: {text}  # {hint}"
    return (
        f"resources:  # {hint}\n  requests:\n    {resource}: {text}\n"
        f"  limits:\n    {resource}: {text}"
    )


def limit_raised(key: str, text: str, request: Node | None) -> str:
    """The limit at `text`, or at the request where that is larger."""
    wanted = amount(request)
    if request is not None and wanted is not None and wanted > parse_quantity(text):
        text = request.text or text
    return f"{key}: {text}"


def minimum_raised(least: str, count: float, most: str, now: Node | None, default: float) -> str:
    """A minimum of replicas, with the maximum where it would be below.

    Parameters
    ----------
    least, most : str
        Keys of the minimum and of the maximum, which stand in one mapping.
    count : float
        The minimum to write.
    now : Node or None
        The maximum in force.
    default : float
        What the chart takes without one.
    """
    bound = now.number if now is not None and now.number is not None else default
    text = f"{least}: {count:.0f}"
    return text if bound >= count else f"{text}\n{most}: {count:.0f}"


def api_version(group: str, version: Version | None) -> str:
    """A version of `group.istio.io` that the release serves; where it is unknown, one that all do."""
    served = "v1" if version is not None and version >= _V1 else _BEFORE.get(group, "v1beta1")
    return f"{group}.istio.io/{served}"
