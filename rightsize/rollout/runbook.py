"""Runbooks for what goes wrong in a mesh, with the names, revision and release of the mesh at hand.

Sources: the catalogue of `rightsize.files.istioctl`; istio.io, "Operations", common problems of
injection, security and networking. Each command reads and changes nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from rightsize.border import command, markdown_lines, printable, promql_string
from rightsize.errors import NoDataError
from rightsize.files.istioctl import IN_SYNC, istioctl, proxy_status
from rightsize.files.known import Version, parse_version
from rightsize.istiod.pilot_settings import minor_release
from rightsize.namespaces.traffic import namespace_labels
from rightsize.rollout.promql import pod_pattern
from rightsize.snapshot import Snapshot
from rightsize.snapshot.views import newest_containers, newest_rows

ROOT = "istio-system"
ISTIOD = "istiod"
_REVISION = "istio.io/rev"
_INJECTION = "istio-injection"
_DEFAULT = "default"
_PROBE = "rightsize-probe"


@dataclass(frozen=True)
class MeshNames:
    """Names of the mesh that commands are written with."""

    cluster: str
    namespace: str
    workload: str
    pod: str
    root: str
    """istiod's namespace."""
    istiods: tuple[str, ...]
    """Workloads of istiod that serve the example: one, or all that run where it is not known which."""
    several: bool
    """More than one istiod runs."""
    asked: str | None
    """The revision or tag that the namespace's labels ask for; None where they do not, or are unknown."""
    release: Version | None

    @property
    def revisions(self) -> tuple[str, ...]:
        return tuple(_revision_of(istiod) for istiod in self.istiods)


@dataclass(frozen=True)
class Check:
    """One step: what to run, and what its answer means."""

    text: str
    commands: tuple[str, ...] = ()
    promql: tuple[str, ...] = ()


def names_of(snapshot: Snapshot, namespace: str | None = None) -> MeshNames:
    """Names for an example: the workload with the most sidecars, of one namespace where asked.

    Raises
    ------
    NoDataError
        If no sidecar runs there.
    """
    rows = newest_containers(snapshot)
    sidecars = rows[rows["component"] == "sidecar"]
    if namespace is not None:
        sidecars = sidecars[sidecars["namespace"] == namespace]
    if sidecars.empty:
        where = "" if namespace is None else f" in namespace {namespace}"
        raise NoDataError(f"no sidecar runs{where}", hint="rightsize recommend --all lists them")
    pods = newest_rows(snapshot, "pods").merge(
        sidecars[["namespace", "workload"]].drop_duplicates(), on=["namespace", "workload"]
    )
    pods = pods if len(pods) else sidecars
    counts = pods.groupby(["namespace", "workload"])["pod"].nunique().reset_index()
    ordered = counts.sort_values(["pod", "namespace", "workload"], ascending=[False, True, True])
    space, workload = (str(ordered[name].iloc[0]) for name in ("namespace", "workload"))
    mine = sidecars[(sidecars["namespace"] == space) & (sidecars["workload"] == workload)]
    first = mine.sort_values("pod").iloc[0]
    istiods = rows[rows["component"] == "istiod"].sort_values("workload")
    running = tuple(dict.fromkeys(istiods["workload"].astype(str))) or (ISTIOD,)
    labels = namespace_labels(snapshot.read("namespaces")).get(space, {})
    newest = {name: _labels(first[name]) for name in ("annotations", "labels")}
    serving = _serving(running, newest["annotations"], labels, newest["labels"])
    known = minor_release(snapshot.manifest.istio_version)
    return MeshNames(
        cluster=snapshot.manifest.cluster,
        namespace=space,
        workload=workload,
        pod=str(first["pod"]),
        root=ROOT if istiods.empty else str(istiods["namespace"].iloc[0]),
        istiods=running if serving is None else (serving,),
        several=len(running) > 1,
        asked=_asked(labels),
        release=None if known is None else parse_version(f"{known[0]}.{known[1]}"),
    )


def _serving(
    running: tuple[str, ...],
    annotations: Mapping[str, str],
    namespace: Mapping[str, str],
    pod: Mapping[str, str],
) -> str | None:
    """The istiod that injected a pod; None where nothing says which.

    The injector writes its own revision on the pod; a namespace's label may be a tag instead. A
    pod's label counts where the namespace has none (istio.io, "Installing the sidecar").
    """
    if len(running) == 1:
        return running[0]
    for revision in filter(
        None, (annotations.get(_REVISION), _asked(namespace), pod.get(_REVISION))
    ):
        name = ISTIOD if revision == _DEFAULT else f"{ISTIOD}-{revision}"
        return name if name in running else None
    return None


def _asked(labels: Mapping[str, str]) -> str | None:
    """The revision or tag that a namespace asks for: `istio-injection` outranks its other label."""
    return _DEFAULT if labels.get(_INJECTION) == "enabled" else labels.get(_REVISION)


def _labels(text: object) -> Mapping[str, str]:
    return json.loads(text) if isinstance(text, str) else {}


def _revision_of(istiod: str) -> str:
    return _DEFAULT if istiod == ISTIOD else istiod.removeprefix(f"{ISTIOD}-")


def runbook(names: MeshNames) -> str:
    """The runbook as Markdown."""
    release = "unknown" if names.release is None else ".".join(map(str, names.release))
    which = " or ".join(map(printable, names.revisions))
    unknown = " (the snapshot does not say which)" if len(names.revisions) > 1 else ""
    parts = [
        f"# Runbook of {printable(names.cluster)}",
        "",
        f"Istio {release}, revision {which}{unknown}; the examples take "
        f"{printable(names.namespace)}/{printable(names.workload)}, the workload with the most "
        "sidecars. Every command reads and changes nothing.",
        "",
    ]
    sections: Sequence[tuple[str, Iterator[Check]]] = (
        ("Mutual TLS is not used, or calls fail with it", _mutual_tls(names)),
        ("A call is denied (403, RBAC: access denied)", _authorization(names)),
        ("Configuration reaches proxies late", _propagation(names)),
        ("Pods start without a proxy", _injection(names)),
        ("Traffic passes by the proxy", _capture(names)),
    )
    for title, checks in sections:
        parts += [f"## {title}", ""]
        for number, check in enumerate(checks, start=1):
            parts += [f"{number}. {check.text}", ""]
            parts += _block("sh", check.commands) + _block("promql", check.promql)
    # A name's direction marks stand escaped in queries too, where PromQL reads them back.
    return markdown_lines("\n".join(parts).rstrip()) + "\n"


def _block(language: str, lines: Sequence[str]) -> list[str]:
    return [f"   ```{language}", *(f"   {line}" for line in lines), "   ```", ""] if lines else []


def _mutual_tls(names: MeshNames) -> Iterator[Check]:
    space = promql_string(names.namespace)
    yield Check(
        "How much arrives without it. Only `mutual_tls` is encrypted; `none` names callers without a "
        "proxy, and proxies that were passed by.",
        promql=(
            "sum by (connection_security_policy, source_workload) (rate(istio_requests_total"
            f'{{reporter="destination",destination_workload_namespace={space}}}[5m]))',
        ),
    )
    yield Check(
        "Which mode is asked for: the narrowest of workload, namespace and mesh counts.",
        (command("kubectl", "get", "peerauthentication", "-A"),),
    )
    yield Check(
        "Whether a DestinationRule turns it off on the caller's side (`mode: DISABLE`, or `SIMPLE` "
        "towards a workload of the mesh).",
        (_on_pod(names, "x describe pod"),),
    )
    yield Check(
        "Whether the proxy holds a certificate that is valid now: ACTIVE, and VALID CERT true for "
        "`default` and `ROOTCA`.",
        (_on_pod(names, "proxy-config secret"),),
    )


def _authorization(names: MeshNames) -> Iterator[Check]:
    yield Check(
        "Which policies the proxy enforces, with their action. CUSTOM is asked first, then DENY, then "
        "ALLOW; once one ALLOW selects the workload, all that none allows is denied.",
        (_on_pod(names, "x authz check"),),
    )
    yield Check(
        "What the proxy said: `rbac_access_denied_matched_policy` names the policy, `none` that no ALLOW "
        "matched. The access log has it where access logging is on.",
        (
            command(
                "kubectl", "logs", names.pod, "-n", names.namespace, "-c", "istio-proxy",
                "--since=10m",
            )
            + " | grep rbac_access_denied",
        ),
    )  # fmt: skip
    yield Check(
        "A principal needs mutual TLS: without it the source has no identity, and a rule by `principals` or "
        "`namespaces` never matches. The first step of mutual TLS above shows that.",
    )


def _propagation(names: MeshNames) -> Iterator[Check]:
    istiod = f'"({"|".join(map(pod_pattern, names.istiods))})"'
    yield Check(
        "How long a change takes until proxies have it: above a few seconds at p99 istiod lacks CPU, or "
        "watches more than its proxies need (`rightsize control-plane`, `rightsize scope`).",
        promql=(
            "histogram_quantile(0.99, sum by (le) (rate(pilot_proxy_convergence_time_bucket"
            f"{{pod=~{istiod}}}[5m])))",
        ),
    )
    yield Check(
        f"Which proxies are behind: {IN_SYNC}.",
        tuple(
            proxy_status(names.release, revision=one if names.several or one != _DEFAULT else None)
            for one in names.revisions
        ),
    )
    yield Check(
        "Whether istiod rejects something that it was given, or waits for its CPU.",
        promql=(
            f"sum by (type) (rate(pilot_total_xds_rejects{{pod=~{istiod}}}[5m]))",
            f"sum by (pod) (rate(container_cpu_usage_seconds_total"
            f'{{namespace={promql_string(names.root)},pod=~{istiod},container="discovery"}}[5m]))',
        ),
    )
    yield Check(
        "What one proxy has of one service, against what istiod means it to have.",
        (_on_pod(names, "proxy-config endpoint"),),
    )


def _injection(names: MeshNames) -> Iterator[Check]:
    one = names.revisions[0]
    one = names.asked or names.revisions[0]
    label = f"{_INJECTION}=enabled" if one == _DEFAULT else f"{_REVISION}={one}"
    yield Check(
        f"Whether the namespace asks for it (`{printable(label)}`); a pod's label "
        "`sidecar.istio.io/inject` outranks the namespace.",
        (
            command(
                "kubectl", "get", "namespace", names.namespace,
                "-L", "istio-injection", "-L", "istio.io/rev",
            ),
        ),
    )  # fmt: skip
    yield Check(
        "Whether a new pod would get a proxy: nothing is created, and `istio-proxy` must be among the names.",
        (
            command(
                "kubectl", "run", _PROBE, "-n", names.namespace, "--image", "busybox",
                "--dry-run=server",
                "-o", "jsonpath={.spec.containers[*].name} {.spec.initContainers[*].name}",
            ),
        ),
    )  # fmt: skip
    yield Check(
        "Whether the webhook selects the namespace, and which revision it belongs to.",
        (
            istioctl(names.release, "tag list"),
            command("kubectl", "get", "mutatingwebhookconfiguration", "-l", "app=sidecar-injector"),
        ),
    )
    path = "/api/v1/namespaces/{}/services/https:{}:443/proxy/inject"
    yield Check(
        "Whether the API server reaches the webhook: an answer of istiod (`no body found`) says so, a "
        "time-out that a security group or a network policy stands between (port 15017). A curl from a node "
        "proves nothing: it is another path, and cannot resolve the cluster's names.",
        tuple(
            command("kubectl", "get", "--raw", path.format(names.root, istiod))
            for istiod in names.istiods
        ),
    )


def _capture(names: MeshNames) -> Iterator[Check]:
    yield Check(
        "Whether anything was excluded: annotations `traffic.sidecar.istio.io/*` on the pod.",
        (
            command(
                "kubectl", "get", "pod", names.pod, "-n", names.namespace,
                "-o", "jsonpath={.metadata.annotations}",
            ),
        ),
    )  # fmt: skip
    yield Check(
        "Whether the rules were set up: `istio-init` ended with 0, or, with the CNI plugin, "
        "`istio-validation` did; with the plugin its DaemonSet must run on the pod's node.",
        (
            command(
                "kubectl", "get", "pod", names.pod, "-n", names.namespace, "-o",
                "jsonpath={range .status.initContainerStatuses[*]}{.name} {.state.terminated.exitCode}"
                "{\"\\n\"}{end}",
            ),
            command("kubectl", "get", "pods", "-A", "-l", "k8s-app=istio-cni-node", "-o", "wide"),
        ),
    )  # fmt: skip
    yield Check(
        "Whether the proxy sees outbound connections at all: a rate of 0 under load means that they pass by.",
        promql=(
            'sum by (pod) (rate(istio_requests_total{reporter="source",'
            f"source_workload_namespace={promql_string(names.namespace)},"
            f"source_workload={promql_string(names.workload)}}}[5m]))",
        ),
    )
    yield Check(
        "Whether both capturing listeners are there (15001 out, 15006 in).",
        tuple(_on_pod(names, "proxy-config listener", port) for port in ("15001", "15006")),
    )


def _on_pod(names: MeshNames, name: str, port: str | None = None) -> str:
    flags = {"-n": names.namespace} | ({} if port is None else {"--port": port})
    return istioctl(names.release, name, names.pod, flags=flags)
