"""Recommended sizes as VerticalPodAutoscaler objects, for dashboards and tools that read these.

Their update mode is `Off`: whoever applies them changes no pod. kubernetes/autoscaler,
vertical-pod-autoscaler/pkg/apis/autoscaling.k8s.io/v1/types.go.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rightsize.output.console import Printer, error_console
from rightsize.output.tables.formats import Answer, register_format
from rightsize.quantity import format_cpu, format_memory

if TYPE_CHECKING:
    from rightsize.results import Advice, Recommendation

_API = {"Deployment": "apps/v1", "StatefulSet": "apps/v1", "DaemonSet": "apps/v1",
        "ReplicaSet": "apps/v1", "CronJob": "batch/v1", "Job": "batch/v1",
        "Rollout": "argoproj.io/v1alpha1"}  # fmt: skip
"""API groups of the kinds that a target may have."""

_HOW = """\
The sizes stand in .status, which kubectl apply drops. To have them in a cluster without a VPA recommender,
which would write its own:
  kubectl apply -f FILE && kubectl replace --subresource=status -f FILE"""


@register_format("vpa", of="sizes")
def _vpa(answer: Answer, printer: Printer) -> None:
    if answer.sizes is None:
        return
    from rightsize.files.yaml_text import to_yaml

    advice = answer.sizes()
    objects = list(vertical_autoscalers(advice))
    left = sum(row.workload is not None and row.running for row in advice.recommendations)
    if left > len(objects):
        error_console().print(
            f"{left - len(objects)} workloads have no VPA here: their kind, or a size, is unknown"
        )
    simulated = " Simulated, nothing here was measured." if advice.simulated else ""
    comment = f"Cluster {advice.cluster}, {advice.start:%Y-%m-%d} to {advice.end:%Y-%m-%d} (UTC)."
    printer.write(to_yaml(objects, comment=f"{comment}{simulated}\n{_HOW}"))


def vertical_autoscalers(advice: Advice) -> Iterator[dict[str, object]]:
    """One object for each running workload of a known kind, with the recommendation as its status."""
    for row in advice.recommendations:
        if row.workload is None or row.kind not in _API or not row.running or not row.writable:
            continue
        target, bound = _amounts(row, end=False), _amounts(row, end=True)
        if target:
            yield _object(row, target, bound or target)


def _object(row: Recommendation, target: dict[str, str], end: dict[str, str]) -> dict[str, object]:
    kind = f"{row.kind}-".lower() if row.same_name else ""
    about = {"namespace": row.namespace, "name": f"{kind}{row.workload}-{row.container}"[:253]}
    named = {"containerName": row.container}
    return {
        "apiVersion": "autoscaling.k8s.io/v1",
        "kind": "VerticalPodAutoscaler",
        "metadata": about,
        "spec": {
            "targetRef": {
                "apiVersion": _API[str(row.kind)],
                "kind": row.kind,
                "name": row.workload,
            },
            "updatePolicy": {"updateMode": "Off"},
            "resourcePolicy": {
                "containerPolicies": [
                    {"containerName": "*", "mode": "Off"},
                    {**named, "mode": "Auto"},
                ]
            },
        },
        "status": {
            "recommendation": {
                "containerRecommendations": [{**named, "target": target, "uncappedTarget": end}]
            }
        },
    }


def _amounts(row: Recommendation, *, end: bool) -> dict[str, str]:
    cpu = row.cpu.target_request if end else row.cpu.recommended_request
    memory = row.memory.target_request if end else row.memory.recommended_request
    found = {} if cpu is None else {"cpu": format_cpu(cpu)}
    return found if memory is None else found | {"memory": format_memory(memory)}
