"""What a pod's own settings ask of a sidecar: from its annotations, and from where it runs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pandas as pd

from rightsize.files.tree import FlawError
from rightsize.files.yaml_text import from_yaml

_CAPTURE = "traffic.sidecar.istio.io/"
_PROXY_CONFIG = "proxy.istio.io/config"
_OF_THE_PROXY = (
    _PROXY_CONFIG,
    "proxy.istio.io/overrides",
    "sidecar.istio.io/bootstrapOverride",
    "sidecar.istio.io/extraStatTags",
    "sidecar.istio.io/interceptionMode",
    "sidecar.istio.io/statsInclusionPrefixes",
    "sidecar.istio.io/statsInclusionRegexps",
    "sidecar.istio.io/statsInclusionSuffixes",
    "sidecar.istio.io/userVolume",
    "sidecar.istio.io/userVolumeMount",
)
_BYPASS = "ambient.istio.io/bypass-inbound-capture"
_TEMPLATES = "inject.istio.io/templates"
_OWN_TEMPLATES = frozenset({"sidecar", "gateway", "grpc-agent", "grpc-simple", "waypoint"})
"""Templates of Istio's own injector (manifests/charts/istio-control/istio-discovery/files)."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A feature of the table that is in use, and what shows it."""

    feature: str
    evidence: str


def annotation_hits(annotations: Mapping[str, str], *, host_network: bool = False) -> Iterator[Hit]:
    """What the annotations of a pod ask of its sidecar."""
    for key, value in sorted(annotations.items()):
        if key.startswith(_CAPTURE):
            yield Hit("capture-exclusion", f"{key}: {value}")
        elif key in _OF_THE_PROXY:
            yield Hit("proxy-config", key)
    if _output_certificates(annotations.get(_PROXY_CONFIG)):
        yield Hit("pod-certificate", f"OUTPUT_CERTS in {_PROXY_CONFIG}")
    if annotations.get(_BYPASS, "").lower() == "true":
        yield Hit("inbound-bypass", f"{_BYPASS}: true")
    own = {name.strip() for name in annotations.get(_TEMPLATES, "").split(",")} - {""}
    if own - _OWN_TEMPLATES:
        yield Hit("spire", f"{_TEMPLATES}: {', '.join(sorted(own))}")
    if host_network:
        yield Hit("host-network", "hostNetwork: true")


def pod_hits(
    pods: pd.DataFrame, meshed: pd.DataFrame, nodes: pd.DataFrame
) -> Iterator[tuple[str, str, str, Hit]]:
    """Namespace, kind, workload and hit, once for each workload of the snapshot's last day.

    Parameters
    ----------
    pods : DataFrame
        As `snapshot.views.pods_with_workloads` gives.
    meshed : DataFrame
        `namespace` and `pod` of pods with a sidecar.
    nodes : DataFrame
        `node` and `kind`.
    """
    fargate = set(nodes.loc[nodes["kind"].astype(object).eq("fargate"), "node"].astype(str))
    ours = pods.merge(meshed[["namespace", "pod"]].drop_duplicates(), on=["namespace", "pod"])
    columns = ["namespace", "workload_kind", "workload", "annotations", "host_network", "node"]
    seen: set[tuple[str, str, str, Hit]] = set()
    for namespace, kind, workload, text, host, node in ours[columns].itertuples(index=False):
        hits = list(annotation_hits(_texts(text), host_network=host is True))
        hits += [Hit("fargate", f"runs on {node}")] if str(node) in fargate else []
        hits += [Hit("headless-service", "StatefulSet")] if kind == "StatefulSet" else []
        for hit in hits:
            row = (str(namespace), str(kind), str(workload), hit)
            if row not in seen:
                seen.add(row)
                yield row


def _texts(text: object) -> Mapping[str, str]:
    found = json.loads(text) if isinstance(text, str) and text else {}
    return {key: str(value) for key, value in found.items()} if isinstance(found, dict) else {}


def _output_certificates(text: str | None) -> bool:
    """Whether a ProxyConfig in an annotation has the agent write certificates for others."""
    try:
        documents = from_yaml(text or "")
    except FlawError:
        return False
    config = documents[0] if documents else None
    metadata = config.get("proxyMetadata") if isinstance(config, Mapping) else None
    return isinstance(metadata, Mapping) and bool(metadata.get("OUTPUT_CERTS"))
