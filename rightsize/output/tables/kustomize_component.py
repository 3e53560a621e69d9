"""Recommended sizes as a Kustomize component: one patch for each workload, in any overlay that has it.

kubernetes-sigs/kustomize, `kustomize.config.k8s.io/v1alpha1`, kind Component. A patch with a target that
an overlay does not have changes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from rightsize.output.console import Printer, error_console
from rightsize.output.tables.formats import Answer, register_format
from rightsize.quantity import format_cpu, format_memory

if TYPE_CHECKING:
    from rightsize.patch.model import SizeChange
    from rightsize.results import Advice

_API = {"Deployment": "apps/v1", "StatefulSet": "apps/v1", "DaemonSet": "apps/v1",
        "CronJob": "batch/v1", "Rollout": "argoproj.io/v1alpha1"}  # fmt: skip
"""Kinds whose template may be changed; Jobs and ReplicaSets are made by others, or once."""
_FIELDS = {
    "cpu_request": ("requests", "cpu"),
    "cpu_limit": ("limits", "cpu"),
    "memory_request": ("requests", "memory"),
    "memory_limit": ("limits", "memory"),
}
_HOW = """\
In an overlay: components: [FOLDER OF THIS FILE]. A manifest must carry its namespace, or no patch finds it;
what the overlay does not have is left alone. Annotations act on pods that are made anew."""


@register_format("kustomize", of="sizes")
def _kustomize(answer: Answer, printer: Printer) -> None:
    if answer.sizes is None:
        return
    from rightsize.files.yaml_text import to_yaml
    from rightsize.patch.changes import size_changes

    advice = answer.sizes()
    changes = size_changes(advice)
    found = component(changes)
    left = [c for c in changes if c.workload is not None and not _patchable(c)]
    if left:
        error_console().print(
            f"{len(left)} workloads have no patch here, by their kind: {left[0].key}"
            + (" and others" if len(left) > 1 else ""),
            markup=False,
        )
    printer.write(to_yaml([found], comment=_comment(advice, changes)))


def component(changes: list[SizeChange]) -> dict[str, object]:
    """The component as data."""
    return {
        "apiVersion": "kustomize.config.k8s.io/v1alpha1",
        "kind": "Component",
        "patches": [_patch(change) for change in changes if _patchable(change)],
    }


def _patchable(change: SizeChange) -> bool:
    """Whether its template can be patched; a list in a resource of another's kind would be replaced."""
    by_annotation = change.component == "sidecar"
    known = change.kind in _API and (by_annotation or change.kind != "Rollout")
    return change.workload is not None and known


def _patch(change: SizeChange) -> dict[str, object]:
    from rightsize.files.yaml_text import to_yaml
    from rightsize.patch.manifests import POD_TEMPLATES

    kind = str(change.kind)
    inner: Mapping[str, object] = _template(change)
    for key in reversed(POD_TEMPLATES[kind]):
        inner = {str(key): inner}
    body = {"apiVersion": _API[kind], "kind": kind, "metadata": {"name": change.workload}, **inner}
    target = {
        "kind": kind,
        "name": _literal(change.workload),
        "namespace": _literal(change.namespace),
    }
    return {"target": target, "patch": to_yaml([body])}


def _template(change: SizeChange) -> dict[str, object]:
    from rightsize.patch.manifests import CONTAINERS, annotation_values

    if change.component == "sidecar":
        return {"metadata": {"annotations": annotation_values(change)}}
    resources: dict[str, dict[str, str]] = {}
    for (side, resource), text in _amounts(change):
        resources.setdefault(side, {})[resource] = text
    container = {"name": CONTAINERS[change.component], "resources": resources}
    return {"spec": {"containers": [container]}}


def _amounts(change: SizeChange) -> Iterator[tuple[tuple[str, str], str]]:
    """Every size that is set and known; an unknown one is not written."""
    for name, place in _FIELDS.items():
        value = getattr(change.sizes, name)
        unknown = frozenset() if change.running is None else change.running.unknown
        if value is not None and name not in unknown:
            yield place, format_cpu(value) if place[1] == "cpu" else format_memory(value)


def _literal(name: str | None) -> str:
    """A name as the whole of a regular expression, which is what a target takes."""
    return re.sub(r"([^\w-])", r"\\\1", name or "")


def _comment(advice: Advice, changes: list[SizeChange]) -> str:
    about = f"Cluster {advice.cluster}, {advice.start:%Y-%m-%d} to {advice.end:%Y-%m-%d} (UTC)."
    simulated = " Simulated, nothing here was measured." if advice.simulated else ""
    default = next((change for change in changes if change.workload is None), None)
    if default is None:
        return f"{about}{simulated}\n{_HOW}"
    sizes = ", ".join(f"{'.'.join(place)} {text}" for place, text in _amounts(default))
    return (
        f"{about}{simulated}\n{_HOW}\nThe mesh default stands in istiod's values "
        f"(global.proxy.resources): {sizes}."
    )
