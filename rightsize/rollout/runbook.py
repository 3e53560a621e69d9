"""Runbooks for what goes wrong in a mesh, with the names, revision and release of the mesh at hand.

Sources: the catalogue of `rightsize.files.istioctl`; istio.io, "Operations", common problems of
injection, security and networking. Each command reads and changes nothing.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rightsize.border import command, markdown_lines, printable, promql_string, word
from rightsize.data_files import data_file
from rightsize.errors import NoDataError
from rightsize.files.istioctl import IN_SYNC, istioctl, proxy_status
from rightsize.files.known import Version, parse_version
from rightsize.istiod.pilot_settings import minor_release
from rightsize.namespaces.traffic import namespace_labels
from rightsize.rollout.promql import pod_pattern
from rightsize.rollout.words import filled, filled_lines
from rightsize.snapshot import Snapshot
from rightsize.snapshot.views import newest_containers, newest_rows

ROOT = "istio-system"
ISTIOD = "istiod"
_REVISION = "istio.io/rev"
_INJECTION = "istio-injection"
_DEFAULT = "default"


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
    given = _given(names)
    for section in tomllib.loads(data_file("runbook.toml").read_text(encoding="utf-8"))["sections"]:
        parts += [f"## {section['title']}", ""]
        for number, check in enumerate(section["checks"], start=1):
            parts += [f"{number}. {filled(check['text'], given)}", ""]
            for language, key in (("sh", "commands"), ("promql", "promql")):
                parts += _block(language, list(filled_lines(check.get(key, ()), given)))
    # A name's direction marks stand escaped in queries too, where PromQL reads them back.
    return markdown_lines("\n".join(parts).rstrip()) + "\n"


def _block(language: str, lines: Sequence[str]) -> list[str]:
    return [f"   ```{language}", *(f"   {line}" for line in lines), "   ```", ""] if lines else []


def _given(names: MeshNames) -> Mapping[str, object]:
    """What the steps are filled with: quoted as a shell, or PromQL, reads it."""
    revision = names.asked or names.revisions[0]
    label = f"{_INJECTION}=enabled" if revision == _DEFAULT else f"{_REVISION}={revision}"
    webhook = "/api/v1/namespaces/{}/services/https:{}:443/proxy/inject"
    return {
        "pod": word(names.pod),
        "namespace": word(names.namespace),
        "label": printable(label),
        "space": promql_string(names.namespace),
        "workload": promql_string(names.workload),
        "root": promql_string(names.root),
        "istiod": f'"({"|".join(map(pod_pattern, names.istiods))})"',
        "in_sync": IN_SYNC,
        "describe": _on_pod(names, "x describe pod"),
        "secret": _on_pod(names, "proxy-config secret"),
        "authz": _on_pod(names, "x authz check"),
        "endpoint": _on_pod(names, "proxy-config endpoint"),
        "listeners": [_on_pod(names, "proxy-config listener", port) for port in ("15001", "15006")],
        "tags": istioctl(names.release, "tag list"),
        "status": [
            proxy_status(names.release, revision=one if names.several or one != _DEFAULT else None)
            for one in names.revisions
        ],
        "webhooks": [
            command("kubectl", "get", "--raw", webhook.format(names.root, istiod))
            for istiod in names.istiods
        ],
    }


def _on_pod(names: MeshNames, name: str, port: str | None = None) -> str:
    flags = {"-n": names.namespace} | ({} if port is None else {"--port": port})
    return istioctl(names.release, name, names.pod, flags=flags)
