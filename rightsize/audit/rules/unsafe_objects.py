"""Istio's objects that are accepted and unsafe: what `istioctl analyze` warns of, without a cluster.

Source: istio/istio, pkg/config/analysis (IST0128, IST0134, IST0160) and pilot/pkg/features.
"""

from __future__ import annotations

from collections.abc import Iterator

from rightsize.audit.model import Severity, Sources
from rightsize.audit.registry import Hit, at, rule
from rightsize.audit.rules.no_effect import policies_of
from rightsize.audit.tree import Node
from rightsize.audit.workloads import unit_of
from rightsize.files.known import Version

_VERIFIES: Version = (1, 21)
"""First release whose VERIFY_CERTIFICATE_AT_CLIENT is on."""
_ALLOCATES: Version = (1, 25)
"""First release whose PILOT_ENABLE_IP_AUTOALLOCATE is on."""


@rule("server-not-verified")
def server_not_verified(sources: Sources) -> Iterator[Hit]:
    checked = sources.version is not None and sources.version >= _VERIFIES
    for policy, title in policies_of(sources):
        tls = policy.get("tls")
        if tls is None or tls.text_of("mode") not in ("SIMPLE", "MUTUAL"):
            continue
        named = any(tls.text_of(key) for key in ("caCertificates", "credentialName"))
        fix = "caCertificates: /etc/ssl/certs/ca-certificates.crt"
        skips = tls.get("insecureSkipVerify")
        if skips is not None and skips.truth is True:
            off = "insecureSkipVerify: false"
            checks = off if named or checked else f"{off}\n{fix}"
            yield at(skips, f"{title}: insecureSkipVerify is true", checks)
            continue
        if not named and not checked:
            mode = tls.get("mode") or tls
            severity: Severity | None = "info" if sources.version is None else None
            evidence = f"{title}: mode {mode.text} without caCertificates"
            yield at(mode, evidence, fix, severity=severity)


@rule("service-entry-without-address")
def entry_without_address(sources: Sources) -> Iterator[Hit]:
    if sources.version is None or sources.version >= _ALLOCATES or _proxies_dns(sources):
        return
    for obj in sources.of_kind("ServiceEntry"):
        spec = obj.root.get("spec")
        if spec is None or spec.get("addresses") is not None:
            continue
        for port in spec.children("ports"):
            protocol = port.get("protocol")
            if protocol is None or (protocol.text or "").upper() == "TCP":
                where = protocol or port
                yield at(where, f"{obj.title}: TCP without addresses", "addresses: [240.240.0.1]")


def _proxies_dns(sources: Sources) -> bool:
    """Whether proxies answer DNS and make up addresses."""
    for mesh in sources.mesh_configs:
        metadata = mesh.get("defaultConfig", "proxyMetadata")
        if metadata is not None and (
            metadata.text_of("ISTIO_META_DNS_AUTO_ALLOCATE") == "true"
            or metadata.text_of("PILOT_ENABLE_IP_AUTOALLOCATE") == "true"
        ):
            return True
    return False


@rule("several-telemetries")
def several_telemetries(sources: Sources) -> Iterator[Hit]:
    seen: dict[tuple[str | None, str], str] = {}
    for obj in sources.of_kind("Telemetry"):
        if any(
            not _is_empty(obj.root.get("spec", key))
            for key in ("selector", "targetRefs", "targetRef")
        ):
            continue
        first = seen.setdefault((obj.namespace, unit_of(sources, obj)), obj.name)
        if first != obj.name:
            fix = "# one Telemetry without selector a namespace: merge them"
            yield at(obj.root, f"{obj.title} beside Telemetry {first}", fix)


def _is_empty(node: Node | None) -> bool:
    return node is None or node.is_empty
