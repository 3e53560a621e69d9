"""In which order namespaces go to ambient mode, what each wave saves, its checks and its way back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rightsize.ambient.cost import AmbientPlanner, NamespaceCost, NodeChange, Request, node_change
from rightsize.ambient.study import AmbientStudy
from rightsize.border import command, promql_string, word
from rightsize.files.istioctl import istioctl
from rightsize.files.shell import plain_script
from rightsize.files.yaml_text import to_yaml
from rightsize.namespaces.manifests import resources_block
from rightsize.nodes.plan import NodeSet
from rightsize.results import Sizes
from rightsize.rollout.checks import RECORD
from rightsize.rollout.model import Check
from rightsize.rollout.words import unique
from rightsize.sizing.node_bound import ANY_NODE, Largest

_LARGEST_WAVE = 8
_INJECTED_BY = ("istio-injection", "istio.io/rev")


@dataclass(frozen=True, slots=True)
class Wave:
    """Namespaces that go together, with everything before them in ambient mode already."""

    number: int
    namespaces: tuple[str, ...]
    waypoints: tuple[str, ...]
    """Those of them that get a waypoint first."""
    saving: NodeChange | None
    """Against no namespace in ambient mode, after this wave: what mixed operation costs is in it."""
    commands: tuple[str, ...]
    checks: tuple[Check, ...]
    back: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Measurement:
    """What no simulation knows, and the query that measures it in the first namespace."""

    what: str
    why: str
    query: str


def ranked(study: AmbientStudy, costs: Sequence[NamespaceCost]) -> tuple[str, ...]:
    """Namespaces that can go, the easiest first: no waypoint, few obstacles, then the saving."""
    need = {one.namespace: one.need for one in study.needs}
    able = [one for one in costs if not study.stopped(one.namespace)]

    def place(one: NamespaceCost) -> tuple[bool, int, float, str]:
        layer_7 = need[one.namespace] != "none"
        hard = sum(o.feature.effect == "waypoint" for o in study.obstacles_of(one.namespace))
        return layer_7, hard, -one.usd.mid, one.namespace

    return tuple(one.namespace for one in sorted(able, key=place))


def waves_of(names: Sequence[str]) -> list[tuple[str, ...]]:
    """One namespace, one more, then twice as many each time, at most eight.

    >>> [len(wave) for wave in waves_of(list("abcdefghijklmnopqrst"))]
    [1, 1, 2, 4, 8, 4]
    """
    found: list[tuple[str, ...]] = []
    start, size = 0, 1
    while start < len(names):
        found.append(tuple(names[start : start + size]))
        start += size
        size = min(size * 2 if len(found) > 1 else 1, _LARGEST_WAVE)
    return found


def plan_waves(
    planner: AmbientPlanner,
    names: Sequence[str],
    base: NodeSet | None,
    hours: float,
    labels: Mapping[str, Mapping[str, str]],
) -> tuple[Wave, ...]:
    """Waves with what each leaves of nodes and dollars, by the node planner.

    `labels` are those of each namespace today, which the way back gives it again.
    """
    done: list[str] = []
    waves = []
    for number, wave in enumerate(waves_of(names), start=1):
        done += wave
        with_waypoint = tuple(n for n in wave if planner.waypoint(n, "mid") is not None)
        change = None if base is None else node_change(planner, done, base, hours)
        waves.append(
            Wave(
                number,
                wave,
                with_waypoint,
                change,
                tuple(line for name in wave for line in _there(name, name in with_waypoint)),
                tuple(check for name in wave for check in _checks(name, name in with_waypoint)),
                tuple(
                    line for name in reversed(wave) for line in _back(name, labels.get(name, {}))
                ),
            )
        )
    return tuple(waves)


def _there(name: str, waypoint: bool) -> list[str]:
    lines = []
    if waypoint:
        lines += [
            istioctl(
                None, "waypoint apply", flags={"-n": name, "--enroll-namespace": "", "--wait": ""}
            )
        ]
    return [
        *lines,
        command("kubectl", "label", "namespace", name, "istio.io/dataplane-mode=ambient"),
        command("kubectl", "label", "namespace", name, "istio-injection-", "istio.io/rev-"),
        command("kubectl", "rollout", "restart", "deployment,statefulset,daemonset", "-n", name),
    ]


def _back(name: str, labels: Mapping[str, str]) -> list[str]:
    """The labels that injected it, or the default's where none is known."""
    had = [f"{label}={labels[label]}" for label in _INJECTED_BY if labels.get(label)]
    note = "" if had else "  # or the istio.io/rev that it had"
    again = command(
        "kubectl", "label", "namespace", name, *(had or ["istio-injection=enabled"]), "--overwrite"
    )
    return [
        command("kubectl", "label", "namespace", name, "istio.io/dataplane-mode-"),
        again + note,
        command("kubectl", "rollout", "restart", "deployment,statefulset,daemonset", "-n", name),
        command("kubectl", "label", "namespace", name, "istio.io/use-waypoint-"),
    ]


def _checks(name: str, waypoint: bool) -> list[Check]:
    here = promql_string(name)
    opened = f"istio_tcp_connections_opened_total{{destination_workload_namespace={here}"
    secure = f'{opened},connection_security_policy="mutual_tls"}}'
    checks = [
        Check(
            f"no-sidecar-{name}",
            f"no pod of {name} has a sidecar",
            f'(count({{__name__=~"kube_pod_(init_)?container_info",namespace={here},'
            f'container="istio-proxy",pod!~"waypoint-.*"}}) or vector(0)) == bool 0',
        ),
        Check(
            f"mutual-tls-{name}",
            f"connections into {name} are mutual TLS, at least 99 of 100",
            f"sum(rate({secure}[15m])) / sum(rate({opened}}}[15m])) >= bool 0.99",
        ),
        Check(
            f"no-pending-proxies-{name}",
            "every ztunnel has taken up the pods of its node (the whole mesh)",
            "sum(workload_manager_pending_proxy_count) == bool 0",
        ),
    ]
    if waypoint:
        errors = f'istio_requests_total{{reporter="waypoint",destination_workload_namespace={here}'
        checks.append(
            Check(
                f"waypoint-errors-{name}",
                f"the waypoint of {name} answers at most 1 of 100 requests with 5xx",
                f'sum(rate({errors},response_code=~"5.."}}[15m])) / sum(rate({errors}}}[15m])) '
                "<= bool 0.01",
            )
        )
    return checks


def install_script(istio_version: str | None) -> str:
    """Ambient components beside the sidecars: nothing changes for any pod yet.

    Names and values are those of the charts' ambient profile, in every release from 1.24 on
    (manifests/helm-profiles/ambient.yaml).
    """
    version = "" if istio_version is None else f" --version {word(istio_version)}"
    return plain_script(
        [
            "kubectl get crd gateways.gateway.networking.k8s.io > /dev/null",
            "helm upgrade istiod istio/istiod -n istio-system --reuse-values --set profile=ambient"
            + version,
            "helm upgrade --install istio-cni istio/cni -n istio-system --set profile=ambient"
            + version,
            "helm upgrade --install ztunnel istio/ztunnel -n istio-system -f ztunnel-values.yaml"
            + version,
            "kubectl rollout status daemonset/ztunnel -n istio-system",
        ],
        "Installs ambient mode beside the sidecars. The CRDs of Gateway API must be there.\n"
        "Sidecars that are restarted afterwards speak HBONE to pods in ambient mode.\n"
        "Back: helm rollback istiod -n istio-system; helm uninstall ztunnel -n istio-system",
    )


def wave_files(
    waves: Sequence[Wave], ztunnel: Request, istio_version: str | None, most: Largest = ANY_NODE
) -> dict[str, str]:
    """Scripts there and back for each wave, its checks as Prometheus rules, ztunnel's values."""
    sizes, said = most.part_of(Sizes(cpu_request=ztunnel.cpu, memory_request=ztunnel.memory))
    files = {
        "00-install.sh": install_script(istio_version),
        "ztunnel-values.yaml": to_yaml(
            [{"resources": resources_block(sizes)}],
            comment="\n".join(
                ["ztunnel chart: requests at the high end, for the node with most traffic", *said]
            ),
        ),
    }
    for wave in waves:
        name, names = f"wave-{wave.number:02d}", ", ".join(wave.namespaces)
        files[f"{name}.sh"] = plain_script(
            wave.commands,
            f"To ambient mode: {names}.\nPolicies of layer 7 are not enforced between the restart "
            "and their move to targetRefs: change them first.",
        )
        files[f"{name}-back.sh"] = plain_script(wave.back, f"Back to sidecars: {names}.")
    rules = [
        {
            "record": RECORD,
            "expr": check.expression,
            "labels": {"phase": f"ambient-wave-{wave.number:02d}", "check": check.name},
        }
        for wave in waves
        for check in unique(wave.checks)
    ]
    group = {"name": "rightsize-ambient", "interval": "5m", "rules": rules}
    comment = (
        f"{RECORD} is 1 where a check holds, 0 where it does not, missing without its metrics."
    )
    files["checks.yaml"] = to_yaml([{"groups": [group]}], comment=comment)
    return files


def measurements(name: str) -> tuple[Measurement, ...]:
    """What to measure in the first namespace before the second goes."""
    here = promql_string(name)
    into = f"destination_workload_namespace={here}"
    latency = "istio_request_duration_milliseconds_bucket"
    usage = "container_cpu_usage_seconds_total"
    return (
        Measurement(
            "latency added by ztunnel and waypoint",
            'compare with the same hour of the week before, reporter="destination"',
            f'histogram_quantile(0.99, sum by (le) (rate({latency}{{reporter="waypoint",{into}}}[1h])))',
        ),
        Measurement(
            "cores of the waypoint for 1,000 requests/s under this mesh's filters",
            "the published figure has none of them",
            f'1000 * sum(rate({usage}{{namespace={here},pod=~"waypoint.*",container="istio-proxy"}}[1h]))'
            f' / sum(rate(istio_requests_total{{reporter="waypoint",{into}}}[1h]))',
        ),
        Measurement(
            "cores of ztunnel for each MB/s",
            "connections and bytes drive it, requests do not",
            f'sum(rate({usage}{{pod=~"ztunnel-.*"}}[1h])) / (sum(rate('
            "istio_tcp_sent_bytes_total[1h])) / 1e6)",
        ),
        Measurement(
            "memory of the largest ztunnel",
            "it grows with pods and services of the whole cluster",
            'max(container_memory_working_set_bytes{pod=~"ztunnel-.*",container="istio-proxy"})',
        ),
    )
