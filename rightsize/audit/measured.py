"""What a snapshot shows of the mesh beside its files: certificates, calls in the clear."""

from __future__ import annotations

from datetime import UTC, datetime

import pandas as pd

from rightsize.audit.identity import BESIDE, METADATA, identity_findings
from rightsize.audit.model import Finding, Note, Severity
from rightsize.audit.rules.certificates import NEAR, VERY_NEAR
from rightsize.audit.tree import Place
from rightsize.snapshot import Snapshot

EXPIRY_METRICS = (
    "citadel_server_root_cert_expiry_timestamp",
    "citadel_server_cert_chain_expiry_timestamp",
)
"""Gauges of istiod, seconds since 1970 (security/pkg/server/ca/monitoring.go, 1.18 to 1.30)."""
MEASURED_RULES = (
    ("measured-ca-expiry", "warning", "istiod's CA runs out soon, by its own metrics"),
    ("measured-plain-text", "warning", "requests that were sent without mutual TLS"),
    (METADATA, "warning", "nodes of which pods reach the instance metadata, as EC2 reports them"),
    (BESIDE, "info", "pods with the node's network or privileges on istiod's nodes"),
)
"""Identifier, severity and title of what `--snapshot` adds."""
_LEAST_SHARE = 0.001
"""Shares of plain-text requests below this are probes and noise of counters."""


def measured_findings(
    snapshot: Snapshot, *, now: datetime
) -> tuple[tuple[Finding, ...], tuple[Note, ...]]:
    """Findings from a snapshot's `control_plane` and `traffic` tables, with what they lack.

    Shares are of requests counted between workloads of the mesh, over the whole snapshot.
    """
    file = str(snapshot.path)
    found, notes = [], []
    expiry = _expiry(snapshot)
    if not expiry:
        notes.append(Note("measured-ca-expiry", file, "the snapshot has no expiry of istiod's CA"))
    for metric, expires in expiry.items():
        left = expires - now
        if left <= NEAR:
            severity: Severity = "error" if left < VERY_NEAR else "warning"
            found.append(_ca_finding(file, metric, expires, severity))
    traffic = snapshot.read("traffic", columns=_TRAFFIC_COLUMNS)
    known = traffic[traffic["mutual_tls"].notna() & (traffic["requests"] > 0)]
    if known.empty:
        text = "the snapshot does not show which requests had mutual TLS"
        notes.append(Note("measured-plain-text", file, text))
    elif _plain_share(known) > _LEAST_SHARE:
        found.append(_plain_finding(file, known))
    for one in identity_findings(snapshot):
        if isinstance(one, Finding):
            found.append(one)
        else:
            notes.append(one)
    return tuple(found), tuple(notes)


_TRAFFIC_COLUMNS = [
    "source_namespace",
    "source_workload",
    "destination_service",
    "requests",
    "mutual_tls",
]


def _expiry(snapshot: Snapshot) -> dict[str, datetime]:
    """The latest value of each expiry gauge; of several istiods the one that runs out first."""
    frame = snapshot.read("control_plane", columns=["time", "metric", "value"])
    frame = frame[frame["metric"].isin(EXPIRY_METRICS) & (frame["value"] > 0)]
    if frame.empty:
        return {}
    last = frame[frame["time"] == frame.groupby("metric", observed=True)["time"].transform("max")]
    seconds = last.groupby("metric", observed=True)["value"].min()
    return {str(k): datetime.fromtimestamp(float(v), tz=UTC) for k, v in seconds.items()}


def _ca_finding(file: str, metric: str, expires: datetime, severity: Severity) -> Finding:
    which = "root" if "root" in metric else "signing"
    return Finding(
        "measured-ca-expiry",
        severity,
        Place(file, 0, 1, f"control_plane.{metric}"),
        f"istiod's {which} certificate runs out on {expires:%Y-%m-%d} (measured)",
        "Once istiod's CA has run out it signs nothing that any proxy trusts.",
        "every release",
        "make -f tools/certs/Makefile.selfsigned.mk root-ca cluster1-cacerts  # replace cacerts",
    )


def _plain_share(known: pd.DataFrame) -> float:
    requests = float(known["requests"].sum())
    return 1 - min(1.0, float(known["mutual_tls"].sum()) / requests)


def _plain_finding(file: str, known: pd.DataFrame) -> Finding:
    by_edge = known.assign(plain=(known["requests"] - known["mutual_tls"]).clip(lower=0)).groupby(
        ["source_namespace", "source_workload", "destination_service"], observed=True
    )["plain"]
    worst = by_edge.sum().nlargest(3)
    callers = "; ".join(
        f"{namespace}/{workload} to {service}" for (namespace, workload, service) in worst.index
    )
    return Finding(
        "measured-plain-text",
        "warning",
        Place(file, 0, 1, "traffic.mutual_tls"),
        f"{_plain_share(known):.1%} of requests were sent without mutual TLS; most: {callers}",
        "STRICT would refuse these calls: their callers need a sidecar first.",
        "every release",
        "# give the callers a sidecar, then a PeerAuthentication with mode STRICT",
    )
