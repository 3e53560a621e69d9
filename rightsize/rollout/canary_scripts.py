"""The folder of a canary: the scripts that resize and take back, and the page to read first.

`resized.tsv` is a journal: pod, uid, time and what was done, one line for each step. A pod's last line
is its state, so that each script can be run again, and again after it was interrupted.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict

from rightsize.border import promql_pattern, promql_string, remark, word
from rightsize.data_files import filled_file
from rightsize.quantity import format_cpu, format_memory
from rightsize.results import Sizes
from rightsize.rollout.canary import FIRST_KUBERNETES, SIZE_NAMES, Canary

JOURNAL = "resized.tsv"


def canary_files(canary: Canary) -> Mapping[str, str]:
    """The folder: `resize.sh`, `way-back.sh`, `README.md` and `canary.json`."""
    pods = "one running pod" if canary.count == 1 else f"{canary.count} running pods"
    resizes = (
        f"Tries new sizes of {canary.container} on {pods} of {canary.namespace}/{canary.workload}, "
        f"without a restart.\nway-back.sh takes them back; {JOURNAL} notes what was done. Run again, "
        "it goes on where it stopped."
    )
    takes_back = (
        f"The sizes of {canary.container} as they were, on every pod that resize.sh changed."
    )
    return {
        "resize.sh": _script("resize.sh", canary, resizes),
        "way-back.sh": _script("way-back.sh", canary, takes_back),
        "README.md": _page(canary),
        "canary.json": json.dumps(as_json(canary), indent=2, sort_keys=True) + "\n",
    }


def _script(name: str, canary: Canary, about: str) -> str:
    values = {
        "about": "\n".join(remark(about)),
        "journal": JOURNAL,
        "first_kubernetes": FIRST_KUBERNETES,
        "namespace": word(canary.namespace),
        "json_path": word(_json_path(canary)),
        "count": canary.count,
        "pods": " \\\n  ".join(word(pod) for pod in canary.pods),
        "known": word(_amounts(canary.before)),
        "before": word(resize_patch(canary, canary.back)),
        "after": word(resize_patch(canary, canary.after)),
    }
    head = filled_file("canary/head.sh", values).rstrip("\n")
    return filled_file(f"canary/{name}", {**values, "head": head})


def as_json(canary: Canary) -> dict[str, object]:
    """What `rightsize canary verify` needs to know."""
    names = ("namespace", "workload", "kind", "component", "container", "native")
    sizes = {"before": canary.before, "after": canary.after, "goal": canary.goal}
    return {
        "schema_version": 2,
        **{name: getattr(canary, name) for name in names},
        **{name: {k: asdict(of)[k] for k in SIZE_NAMES} for name, of in sizes.items()},
    }


def resize_patch(canary: Canary, sizes: Sizes) -> str:
    """The patch of a pod's `resize` subresource, as JSON."""
    blocks: dict[str, dict[str, str]] = {}
    for kind in ("request", "limit"):
        for resource, written in (("cpu", format_cpu), ("memory", format_memory)):
            size = getattr(sizes, f"{resource}_{kind}")
            if size is not None:
                blocks.setdefault(f"{kind}s", {})[resource] = written(size)
    key = "initContainers" if canary.native else "containers"
    return json.dumps({"spec": {key: [{"name": canary.container, "resources": blocks}]}})


def _json_path(canary: Canary) -> str:
    """What the scripts ask of a pod, a line for each answer.

    uid; phase; why the kubelet has not begun (`Deferred`, `Infeasible`); whether it is at it; sizes
    asked for; sizes in force; what a resize restarts.
    """
    which = f'[?(@.name=="{canary.container}")]'
    spec, status = (
        (f".spec.initContainers{which}", f".status.initContainerStatuses{which}")
        if canary.native
        else (f".spec.containers{which}", f".status.containerStatuses{which}")
    )
    sizes = [
        f"{kind}.{resource}" for kind in ("requests", "limits") for resource in ("cpu", "memory")
    ]
    lines = [
        "{.metadata.uid}",
        "{.status.phase}",
        '{.status.conditions[?(@.type=="PodResizePending")].reason}',
        '{.status.conditions[?(@.type=="PodResizeInProgress")].status}',
        *("/".join(f"{{{where}.resources.{size}}}" for size in sizes) for where in (spec, status)),
        f"{{{spec}.resizePolicy[*].restartPolicy}}",
    ]
    return "jsonpath=" + '{"\\n"}'.join(lines)


def _amounts(sizes: Sizes) -> str:
    """As the script's `amounts` writes them."""
    values = [sizes.cpu_request, sizes.memory_request, sizes.cpu_limit, sizes.memory_limit]
    return "/".join("-" if value is None else f"{value:.3f}" for value in values)


def _page(canary: Canary) -> str:
    pods = "|".join(promql_pattern(name) for name in canary.pods)
    values = {
        **{name: getattr(canary, name) for name in ("count", "siblings", "namespace", "workload")},
        **{resource: _change(canary, resource) for resource in ("cpu", "memory")},
        "said": "".join(f"Here, {one}.\n" for one in canary.said),
        "family": "kube_pod_init_container" if canary.native else "kube_pod_container",
        "here": f'namespace={promql_string(canary.namespace)},pod=~"{pods}",'
        f"container={promql_string(canary.container)}",
    }
    return filled_file("canary/README.md", values)


def _change(canary: Canary, resource: str) -> str:
    write = format_cpu if resource == "cpu" else format_memory
    found = []
    for kind in ("request", "limit"):
        sizes = (getattr(of, f"{resource}_{kind}") for of in (canary.before, canary.after))
        now, then = ("not set" if size is None else write(size) for size in sizes)
        found.append(f"{kind} {now} to {then}")
    return ", ".join(found)
