"""YAML of what the mesh commands recommend, in the shape that Istio's own schemas accept."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

from ruamel.yaml import YAML

from rightsize.analysis.control_plane.sizing import IstiodAdvice
from rightsize.quantity import format_cpu, format_memory
from rightsize.results import Sizes

Document = Mapping[str, object]


def to_yaml(documents: Sequence[Document], *, comment: str = "") -> str:
    """Documents as YAML text, `comment` in front; keys keep their order."""
    writer = YAML()
    writer.indent(mapping=2, sequence=4, offset=2)
    writer.width = 100
    out = io.StringIO()
    for line in comment.splitlines():
        out.write(f"# {line}\n" if line else "#\n")
    for number, document in enumerate(documents):
        if number:
            out.write("---\n")
        writer.dump(_plain(document), out)
    return out.getvalue()


def istiod_values(advice: IstiodAdvice) -> Document:
    """Values of the istiod chart for this step: sizes, replicas, target, budget.

    `pilot.` is read by every release from 1.18 on; `replicaCount` is ignored while the autoscaler
    is on, so that bounds are written instead.
    """
    pilot: dict[str, object] = {
        "resources": resources_block(advice.recommended),
        "autoscaleEnabled": True,
        "autoscaleMin": advice.autoscale_min,
        "autoscaleMax": advice.autoscale_max,
        "cpu": {"targetAverageUtilization": advice.target_utilization},
    }
    values: dict[str, object] = {"pilot": pilot}
    if advice.budget.path.startswith("pdb."):
        # maxUnavailable wins over the chart's minAvailable of 1.
        values["pdb"] = {"maxUnavailable": int(advice.budget.value)}
    values["global"] = {"defaultPodDisruptionBudget": {"enabled": True}}
    return values


def resources_block(sizes: Sizes) -> Document:
    """`resources` of a container; what is not set is left out."""
    requests = _quantities(sizes.cpu_request, sizes.memory_request)
    limits = _quantities(sizes.cpu_limit, sizes.memory_limit)
    block: dict[str, object] = {}
    if requests:
        block["requests"] = requests
    if limits:
        block["limits"] = limits
    return block


def _quantities(cpu: float | None, memory: float | None) -> dict[str, str]:
    found = {}
    if cpu is not None:
        found["cpu"] = format_cpu(cpu)
    if memory is not None:
        found["memory"] = format_memory(memory)
    return found


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(inner) for inner in value]
    return value
