"""Sidecar resources: for each namespace exactly the hosts that it was seen to call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from rightsize.namespaces.configuration import Configuration
from rightsize.namespaces.traffic import CLUSTER_DOMAIN, UNKNOWN, egress_host

ROOT_NAMESPACE = "istio-system"
_RARE_DAYS = 2


@dataclass(frozen=True, slots=True)
class RareCall:
    """An edge seen on few days: its caller may have others that were not seen at all."""

    workload: str
    service: str
    days: int
    requests: float


@dataclass(frozen=True, slots=True)
class Confidence:
    """How far the window can be trusted to hold every edge."""

    days: int
    """Days on which the namespace called anybody."""
    window_days: int
    new_in_last_week: int
    """Hosts first called in the window's last 7 days: where they still come, more will."""
    unseen_share: float
    """Chance that a call of another day goes to a host not seen, after Good and Turing
    (Biometrika 40, 1953): hosts seen on one day, over all days of all hosts."""
    unseen_hosts: float = 0.0
    """Hosts that were not seen at all, estimated from those seen on one day and on two: Chao's lower
    bound with its bias correction (Scandinavian Journal of Statistics 11, 1984)."""

    @property
    def enough(self) -> bool:
        """Two weeks of traffic, nothing new in the last, and no further host to be expected.

        A host called once a month is a host: many calls to the others do not outweigh it.
        """
        seen_well = self.unseen_share <= 0.01 and self.unseen_hosts < 0.5
        return self.days >= 14 and self.new_in_last_week == 0 and seen_well

    @property
    def text(self) -> str:
        word = "well seen" if self.enough else "not yet safe to apply"
        new = "1 host" if self.new_in_last_week == 1 else f"{self.new_in_last_week} hosts"
        return (
            f"{word}: calls on {self.days} of {self.window_days} days, "
            f"{new} new in the last 7 days, "
            f"{self.unseen_share:.1%} of a further day's calls may be to hosts not seen, "
            f"about {self.unseen_hosts:.0f} of which there are"
        )


@dataclass(frozen=True, slots=True)
class EgressScope:
    """The Sidecar of one namespace."""

    namespace: str
    hosts: tuple[str, ...]
    given: tuple[str, ...]
    """Of these, hosts that were asked for and not seen."""
    confidence: Confidence
    rare: tuple[RareCall, ...]
    notes: tuple[str, ...]
    routed: tuple[str, ...] = ()
    """Of the hosts, those that keep VirtualServices of the calls seen."""


def egress_scopes(
    edges: pd.DataFrame,
    namespaces: Sequence[str],
    *,
    window_days: int,
    end: pd.Timestamp,
    given: Sequence[str] = (f"{ROOT_NAMESPACE}/*",),
    configuration: Configuration | None = None,
    routes_unknown: bool = False,
) -> tuple[EgressScope, ...]:
    """Return a Sidecar for each namespace with proxies that was seen to call anybody.

    Parameters
    ----------
    edges : DataFrame
        As `rightsize.namespaces.traffic.edges` gives.
    namespaces : sequence of str
        Namespaces with sidecars. The root namespace never gets a Sidecar: one without a workload
        selector would be the default of the whole mesh.
    window_days : int
        Days of the snapshot.
    end : Timestamp
        End of the snapshot.
    given : sequence of str
        Hosts added to every namespace, as `namespace/dnsName`.
    configuration : Configuration, optional
        Istio's own objects: VirtualServices keep their hosts.
    routes_unknown : bool
        The mesh has VirtualServices that the files do not hold. Services of the cluster are then written as
        `*/host`: `namespace/host` would drop a VirtualService for that host which is kept in
        another namespace.
    """
    ours = sorted(set(namespaces) - {ROOT_NAMESPACE})
    calls = edges[edges["source_namespace"].isin(ours)]
    hosts = [
        egress_host(service, namespace)
        for service, namespace in zip(
            calls["destination_service"], calls["destination_namespace"], strict=True
        )
    ]
    if routes_unknown:
        hosts = [_from_anywhere(host) for host in hosts]
    calls = calls.assign(host=pd.Series(hosts, index=calls.index, dtype=object))
    known = configuration or Configuration()
    return tuple(
        _scope(str(namespace), rows, window_days, end, given, known)
        for namespace, rows in calls.groupby("source_namespace")
    )


def _from_anywhere(host: str | None) -> str | None:
    if host is None or not host.endswith(f".{CLUSTER_DOMAIN}"):
        return host
    return f"*/{host.split('/', 1)[1]}"


def _scope(
    namespace: str,
    calls: pd.DataFrame,
    window_days: int,
    end: pd.Timestamp,
    given: Sequence[str],
    configuration: Configuration,
) -> EgressScope:
    known = calls.dropna(subset=["host"])
    seen = sorted(set(known["host"]))
    names = [host.split("/", 1)[1] for host in seen]
    routed = tuple(h for h in configuration.imports_for(namespace, names) if h not in seen)
    added = tuple(host for host in given if host not in (*seen, *routed))
    notes = []
    standing = configuration.sidecars.get(namespace)
    if standing is not None:
        notes.append(
            f"Sidecar {standing} is there already and holds for all workloads, too: of two such "
            "either may win, so put this one in its place"
        )
    if len(known) < len(calls):
        notes.append("also calls addresses or hosts of no registry: those pass unscoped")
    blind = known[known["host"].str.endswith("/*")]
    if len(blind):
        notes.append(
            f"{len(blind)} edges do not name their service: all of "
            f"{', '.join(sorted(set(blind['destination_namespace'])))} stays in scope"
        )
    lost = calls[(calls["destination_service"] == UNKNOWN) & calls["host"].isna()]
    if len(lost):
        notes.append(f"{len(lost)} edges name neither service nor namespace: check them by hand")
    return EgressScope(
        namespace=namespace,
        hosts=(*seen, *routed, *added),
        given=added,
        confidence=_confidence(known, calls, window_days, end),
        rare=_rare(known),
        notes=tuple(notes),
        routed=routed,
    )


def _confidence(
    known: pd.DataFrame, calls: pd.DataFrame, window_days: int, end: pd.Timestamp
) -> Confidence:
    # An edge's days bound its host's days from below: several callers may share a day.
    by_host = known.groupby("host").agg(days=("days", "max"), first=("first", "min"))
    total = float(by_host["days"].sum())
    once, twice = (float((by_host["days"] == days).sum()) for days in (1, 2))
    return Confidence(
        days=int(calls["days"].max()),
        window_days=window_days,
        new_in_last_week=int((by_host["first"] > end - pd.Timedelta(7, "D")).sum()),
        unseen_share=once / total if total else 1.0,
        unseen_hosts=once * max(once - 1, 0.0) / (2 * (twice + 1)),
    )


def _rare(known: pd.DataFrame) -> tuple[RareCall, ...]:
    few = known[known["days"] <= _RARE_DAYS].sort_values(["days", "requests"])
    return tuple(
        RareCall(
            str(row["source_workload"]),
            str(row["destination_service"]),
            int(row["days"]),
            float(row["requests"]),
        )
        for row in few.to_dict("records")
    )
