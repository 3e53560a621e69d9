"""Recorded series: usage, requests and limits of mesh containers under labels of one kind.

Scrapers name labels differently (`pod_name`, `container_name`, `exported_pod`, …); the names known
here are those that `rightsize collect` reads. Everything after these series speaks of `namespace`,
`pod`, `container` and `workload`.
"""

from __future__ import annotations

from rightsize.output.alerts.rules import Record

SERVICES = "rightsize:mesh_services"
PROXIES = "rightsize:connected_proxies"
PROPAGATION = "rightsize:propagation_seconds"
CONTAINERS = "istio-proxy|discovery|install-cni"
POD = "namespace, pod, container"
WORKLOAD = "namespace, workload, container"

# The first that is not empty counts, as `rightsize collect` reads them.
_LABELS = {
    "namespace": ("exported_namespace", "namespace", "kubernetes_namespace"),
    "pod": ("exported_pod", "pod", "pod_name", "kubernetes_pod_name"),
    "container": ("exported_container", "container", "container_name"),
}
# k8s.io/apimachinery/pkg/util/rand: no vowels and no 0, 1, 3.
_HASH = "[bcdfghjklmnpqrstvwxz2456789]"
_OWNERS = (
    ("[^/]*/([^/]+)/.*", "the controller itself"),
    (f"ReplicaSet/(.+)-{_HASH}{{6,10}}/.*", "the Deployment or Rollout above a ReplicaSet"),
    ("Job/(.+)-[0-9]{8,11}/.*", "the CronJob above a Job"),
    ("(?:<none>)?/(?:<none>)?/(.+)", "a pod without a controller"),
)


def mesh_series(matchers: str, rate_seconds: int) -> tuple[Record, ...]:
    """Series of each mesh container and each workload.

    Parameters
    ----------
    matchers : str
        Further label matchers, each ending in a comma.
    rate_seconds : int
        Range of rates.
    """
    used = f"[{rate_seconds}s]"
    throttled, periods = (
        f"sum by ({POD}) ({_cadvisor(f'container_cpu_cfs_{name}_total', matchers, '[1h]')})"
        for name in ("throttled_periods", "periods")
    )
    return (
        Record("rightsize:pod_workload", _pod_workload(matchers)),
        Record(
            "rightsize:container_usage",
            _one(_cadvisor("container_cpu_usage_seconds_total", matchers, used)),
            {"resource": "cpu"},
        ),
        Record(
            "rightsize:container_usage",
            _one(_cadvisor("container_memory_working_set_bytes", matchers)),
            {"resource": "memory"},
        ),
        *(
            Record(
                f"rightsize:container_{kind}",
                _one(_state(f"resource_{kind}s", matchers, f'resource="{resource}",')),
                {"resource": resource},
            )
            for kind in ("request", "limit")
            for resource in ("cpu", "memory")
        ),
        Record("rightsize:container_throttled_share", f"{throttled} / {periods} > 0"),
        Record("rightsize:container_oom_kills", _oom_kills(matchers)),
        *(
            Record(
                f"rightsize:workload_{what}",
                f"avg by ({WORKLOAD}, resource) (rightsize:container_{what} "
                "* on (namespace, pod) group_left (workload) rightsize:pod_workload)",
            )
            for what in ("usage", "request")
        ),
    )


def istiod_series(matchers: str) -> tuple[Record, ...]:
    """Series of the control plane: services, connected proxies, quantiles of the delay of a change."""
    buckets = f"sum by (le) (rate(pilot_proxy_convergence_time_bucket{{{matchers}}}[15m]))"
    return (
        Record(SERVICES, f"max(pilot_services{{{matchers}}})"),
        Record(PROXIES, f"sum(pilot_xds{{{matchers}}})"),
        *(
            Record(PROPAGATION, f"histogram_quantile({q}, {buckets})", {"quantile": q})
            for q in ("0.5", "0.99")
        ),
    )


def _oom_kills(matchers: str) -> str:
    """Restarts within an hour with an OOM kill as last reason."""
    restarts = _one(_state("status_restarts_total", matchers, over="[1h]"))
    reason = _one(_state("status_last_terminated_reason", matchers, 'reason="OOMKilled",'))
    return f"({restarts} > 0) and on ({POD}) ({reason} == 1)"


def _one(text: str) -> str:
    """One series a container, also where two scrapers report the same."""
    return f"max by ({POD}) ({text})"


def _cadvisor(metric: str, matchers: str, over: str = "") -> str:
    found = [
        f'{metric}{{{label}=~"{CONTAINERS}",{matchers}}}{over}'
        for label in ("container", "container_name")
    ]
    return _same_names(" or ".join(f"rate({text})" if over else text for text in found))


def _state(what: str, matchers: str, more: str = "", over: str = "") -> str:
    """A metric of kube-state-metrics, of containers and (native sidecars) of init containers."""
    names = f'__name__=~"kube_pod_(init_)?container_{what}"'
    found = [
        f'{{{names},{label}=~"{CONTAINERS}",{more}{matchers}}}{over}'
        for label in ("exported_container", "container")
    ]
    return _same_names(" or ".join(f"increase({text})" if over else text for text in found))


def _same_names(text: str, labels: tuple[str, ...] = ("namespace", "pod", "container")) -> str:
    """Bring other names of the labels to the usual ones."""
    for label in labels:
        names = ", ".join(f'"{name}"' for name in _LABELS[label])
        text = f'label_join({text}, "names", "/", {names})'
        text = f'label_replace({text}, "{label}", "$1", "names", "/*([^/]+).*")'
    return text


def _pod_workload(matchers: str) -> str:
    """1 for each pod, with its workload: owner chains are read off the names Kubernetes makes."""
    owners = _workloads(
        f'kube_pod_owner{{owner_is_controller!="false",{matchers}}}', "owner_kind", "owner_name"
    )
    infos = _workloads(f"kube_pod_info{{{matchers}}}", "created_by_kind", "created_by_name")
    # Two owners of one pod, for a moment, must not stop the rules that follow.
    return f"topk by (namespace, pod) (1, {owners} or on (namespace, pod) {infos})"


def _workloads(selector: str, kind: str, name: str) -> str:
    text = _same_names(selector, ("namespace", "pod"))
    text = f'label_join({text}, "owner", "/", "{kind}", "{name}", "pod")'
    for pattern, _ in _OWNERS:
        text = f'label_replace({text}, "workload", "$1", "owner", "{pattern}")'
    return f"group by (namespace, pod, workload) ({text})"
