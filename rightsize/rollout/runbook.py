"""Runbooks for what goes wrong in a mesh, with the names, revision and release of the mesh at hand.

Sources: istioctl at the tags 1.18 to 1.30 (`istioctl/cmd`, `istioctl/pkg`); istio.io, "Operations",
common problems of injection, security and networking. Each command reads and changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rightsize.border import command, markdown_lines, printable, promql_pattern, promql_string
from rightsize.errors import NoDataError
from rightsize.files.istioctl import IN_SYNC, proxy_status
from rightsize.files.known import Version, parse_version
from rightsize.istiod.pilot_settings import minor_release
from rightsize.snapshot import Snapshot
from rightsize.snapshot.views import newest_containers, newest_rows

ROOT = "istio-system"
_PROBE = "rightsize-probe"


@dataclass(frozen=True)
class MeshNames:
    """Names of the mesh that commands are written with."""

    cluster: str
    namespace: str
    workload: str
    pod: str
    istiod: str
    revision: str | None
    """None for the default one."""
    release: Version | None


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
    istiods = sorted({str(n) for n in rows.loc[rows["component"] == "istiod", "workload"]})
    istiod = "istiod" if not istiods or "istiod" in istiods else istiods[0]
    known = minor_release(snapshot.manifest.istio_version)
    return MeshNames(
        cluster=snapshot.manifest.cluster,
        namespace=space,
        workload=workload,
        pod=str(first["pod"]),
        istiod=istiod,
        revision=istiod.removeprefix("istiod-") if istiod != "istiod" else None,
        release=None if known is None else parse_version(f"{known[0]}.{known[1]}"),
    )


def runbook(names: MeshNames) -> str:
    """The runbook as Markdown."""
    release = "unknown" if names.release is None else ".".join(map(str, names.release))
    revision = names.revision or "default"
    parts = [
        f"# Runbook of {printable(names.cluster)}",
        "",
        f"Istio {release}, revision {printable(revision)}; the examples take "
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
        (command("istioctl", "x", "describe", "pod", names.pod, "-n", names.namespace),),
    )
    yield Check(
        "Whether the proxy holds a certificate that is valid now: ACTIVE, and VALID CERT true for "
        "`default` and `ROOTCA`.",
        (command("istioctl", "proxy-config", "secret", names.pod, "-n", names.namespace),),
    )


def _authorization(names: MeshNames) -> Iterator[Check]:
    yield Check(
        "Which policies the proxy enforces, with their action. CUSTOM is asked first, then DENY, then "
        "ALLOW; once one ALLOW selects the workload, all that none allows is denied.",
        (command("istioctl", "x", "authz", "check", names.pod, "-n", names.namespace),),
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
    istiod = f'"{promql_pattern(names.istiod)}-.*"'
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
        (proxy_status(names.release, revision=names.revision),),
    )
    yield Check(
        "Whether istiod rejects something that it was given, or waits for its CPU.",
        promql=(
            f"sum by (type) (rate(pilot_total_xds_rejects{{pod=~{istiod}}}[5m]))",
            f"sum by (pod) (rate(container_cpu_usage_seconds_total"
            f'{{namespace="{ROOT}",pod=~{istiod},container="discovery"}}[5m]))',
        ),
    )
    yield Check(
        "What one proxy has of one service, against what istiod means it to have.",
        (command("istioctl", "proxy-config", "endpoint", names.pod, "-n", names.namespace),),
    )


def _injection(names: MeshNames) -> Iterator[Check]:
    label = f"istio.io/rev={names.revision}" if names.revision else "istio-injection=enabled"
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
            command("istioctl", "tag", "list"),
            command("kubectl", "get", "mutatingwebhookconfiguration", "-l", "app=sidecar-injector"),
        ),
    )
    path = f"/api/v1/namespaces/{ROOT}/services/https:{names.istiod}:443/proxy/inject"
    yield Check(
        "Whether the API server reaches the webhook: an answer of istiod (`no body found`) says so, a "
        "time-out that a security group or a network policy stands between (port 15017). A curl from a node "
        "proves nothing: it is another path, and cannot resolve the cluster's names.",
        (command("kubectl", "get", "--raw", path),),
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
            command("kubectl", "get", "pods", "-n", ROOT, "-l", "k8s-app=istio-cni-node", "-o", "wide"),
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
        (
            command(
                "istioctl",
                "proxy-config",
                "listener",
                names.pod,
                "-n",
                names.namespace,
                "--port",
                "15001",
            ),
            command(
                "istioctl",
                "proxy-config",
                "listener",
                names.pod,
                "-n",
                names.namespace,
                "--port",
                "15006",
            ),
        ),
    )
