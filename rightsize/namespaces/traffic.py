"""Who calls whom, in how many days, from the snapshot's hourly traffic."""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rightsize.snapshot import Snapshot

UNKNOWN = "unknown"
CLUSTER_DOMAIN = "svc.cluster.local"
_CATCH_ALL = frozenset({"PassthroughCluster", "BlackHoleCluster", "InboundPassthroughCluster"})
"""What Istio names a destination that is in nobody's registry: no scope can cut it."""
_PORT = re.compile(r":\d+$")
_DNS_NAME = re.compile(
    r"(\*\.)?([a-zA-Z0-9]([-a-zA-Z0-9]*[a-zA-Z0-9])?\.)*[a-zA-Z]([-a-zA-Z0-9]*[a-zA-Z0-9])?"
)
"""What Istio's validation takes as the name of an egress host."""
_EDGE = [
    "source_namespace",
    "source_workload",
    "destination_namespace",
    "destination_workload",
    "destination_service",
    "protocol",
]
EDGE_COLUMNS = (*_EDGE, "requests", "days", "first", "last", "busiest_hour", "duration_seconds")


def read_edges(snapshot: Snapshot) -> pd.DataFrame:
    """Edges of a whole snapshot, read day by day (see `edges`)."""
    return merged(edges(pd.DataFrame(part.to_pandas())) for _, part in snapshot.by_day("traffic"))


def edges(traffic: pd.DataFrame) -> pd.DataFrame:
    """Sum hourly traffic up to one row an edge.

    Parameters
    ----------
    traffic : DataFrame
        The snapshot's table.

    Returns
    -------
    DataFrame
        The key columns of `traffic` without `time`, and

        =================  ========  =====================================================
        column             unit      meaning
        =================  ========  =====================================================
        requests           requests  sum (connections for tcp)
        days               days      UTC days on which it was seen
        first, last        UTC       first and last hour with a request
        busiest_hour       requests  most requests in one hour
        duration_seconds   seconds   sum of request durations; NaN for tcp
        =================  ========  =====================================================
    """
    rows = traffic[traffic["requests"] > 0]
    if rows.empty:
        return pd.DataFrame({name: [] for name in EDGE_COLUMNS})
    edge, first = _numbered(rows)
    keyed = pd.DataFrame(
        {
            "edge": edge,
            "time": rows["time"].array,
            "requests": rows["requests"].array,
            "duration_seconds": rows["duration_seconds"].array,
        }
    )
    # One hour may hold several rows of an edge: hours are summed up before the busiest is taken.
    hourly = keyed.groupby(["edge", "time"], as_index=False, sort=False).agg(
        requests=("requests", "sum"),
        duration_seconds=("duration_seconds", "sum"),
        known=("duration_seconds", "count"),
    )
    hourly["day"] = (hourly["time"] - pd.Timedelta(1, "s")).dt.floor("D")
    sums = hourly.groupby("edge").agg(
        requests=("requests", "sum"),
        first=("time", "min"),
        last=("time", "max"),
        busiest_hour=("requests", "max"),
        duration_seconds=("duration_seconds", "sum"),
        known=("known", "sum"),
    )
    days = hourly.drop_duplicates(["edge", "day"]).groupby("edge").size()
    names = rows[_EDGE].iloc[first].astype(object).fillna(UNKNOWN).reset_index(drop=True)
    found = pd.concat([names, sums.assign(days=days)], axis=1)
    return _without_unknown(found)


def merged(parts: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """One frame from edges of different days."""
    known = [part for part in parts if len(part)]
    if not known:
        return pd.DataFrame({name: [] for name in EDGE_COLUMNS})
    whole = pd.concat(known, ignore_index=True).groupby(_EDGE, as_index=False)
    found = whole.agg(
        requests=("requests", "sum"),
        days=("days", "sum"),
        first=("first", "min"),
        last=("last", "max"),
        busiest_hour=("busiest_hour", "max"),
        known=("duration_seconds", "count"),
        duration_seconds=("duration_seconds", "sum"),
    )
    return _without_unknown(found)


def _numbered(rows: pd.DataFrame) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Number of each row's edge, edges in the order of their names, and the first row of each.

    To group by one number takes a fraction of what grouping by six names does.
    """
    edge = np.zeros(len(rows), dtype=np.int64)
    for name in _EDGE:
        text = rows[name].astype("category")
        values = sorted({*text.cat.categories, UNKNOWN})
        codes = text.cat.set_categories(values).fillna(UNKNOWN).cat.codes.to_numpy(dtype=np.int64)
        # Renumbered at each name, so that the product of all counts cannot overflow.
        edge = np.unique(edge * len(values) + codes, return_inverse=True)[1]
    _, first = np.unique(edge, return_index=True)
    return edge, first


def _without_unknown(found: pd.DataFrame) -> pd.DataFrame:
    """A sum over nothing known is unknown, not zero."""
    found["duration_seconds"] = found["duration_seconds"].where(found["known"] > 0)
    return found[list(EDGE_COLUMNS)]


def egress_host(service: str, namespace: str) -> str | None:
    """Host of a Sidecar's egress that lets a destination through, as `namespace/dnsName`.

    Parameters
    ----------
    service : str
        `destination_service` of the metric: a service's full name, a host of a ServiceEntry, an
        address, or `unknown`.
    namespace : str
        Namespace of the called workload, or `unknown`.

    Returns
    -------
    str or None
        None where no host is needed: what is in no registry passes whatever the Sidecar says.
    """
    if service in _CATCH_ALL or _is_address(service):
        return None
    # Where no service is known, the metric holds the request's Host header: any text of the caller.
    service = _PORT.sub("", service).removesuffix(".")
    if not _DNS_NAME.fullmatch(service):
        service = UNKNOWN
    if service.endswith(f".{CLUSTER_DOMAIN}"):
        names = service.removesuffix(f".{CLUSTER_DOMAIN}").split(".")
        # A pod of a headless service is called as pod.service.namespace; the service is known.
        owner, home = names[-2:] if len(names) > 1 else (names[-1], namespace)
        return f"{home}/{owner}.{home}.{CLUSTER_DOMAIN}"
    if "." in service:
        # A ServiceEntry: it may be defined in any namespace.
        return f"*/{service}"
    # The metric does not name the service: all of the namespace it was answered from.
    return None if namespace == UNKNOWN else f"{namespace}/*"


def covers(hosts: Iterable[str], service: str, namespace: str, caller: str) -> bool:
    """Whether a Sidecar of namespace `caller` with these egress hosts still reaches a destination.

    Follows Istio's rules: `.` is the caller's own namespace, `*` any; a name may start with `*.`
    or be `*`.
    """
    wanted = egress_host(service, namespace)
    if wanted is None:
        return True
    home, name = wanted.split("/", 1)
    for host in hosts:
        place, pattern = host.split("/", 1)
        place = caller if place == "." else place
        if place != "*" and place != home:
            continue
        if pattern in ("*", name) or (pattern.startswith("*.") and name.endswith(pattern[1:])):
            return True
    return False


def namespace_labels(namespaces: pd.DataFrame) -> Mapping[str, Mapping[str, str]]:
    """Last known labels of each namespace of the snapshot's table; empty where not known."""
    newest = namespaces.sort_values("day") if "day" in namespaces else namespaces
    found: dict[str, Mapping[str, str]] = {}
    for row in newest.to_dict("records"):
        name, labels = str(row["namespace"]), row["labels"]
        if isinstance(labels, str):
            found[name] = {str(k): str(v) for k, v in json.loads(labels).items()}
        else:
            found.setdefault(name, {})
    return found


def _is_address(service: str) -> bool:
    try:
        ipaddress.ip_address(service.rsplit(":", 1)[0] if service.count(":") == 1 else service)
    except ValueError:
        return False
    return True
