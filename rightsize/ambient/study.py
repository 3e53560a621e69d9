"""Ambient mode for one snapshot and the objects beside it."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from rightsize.ambient.facts import FIRST_STABLE, LAST_KNOWN, features
from rightsize.ambient.obstacles import Obstacle, in_force, object_obstacles
from rightsize.ambient.pod_settings import pod_hits
from rightsize.ambient.rates import Rates, read_rates
from rightsize.ambient.readers import layer_7_readers
from rightsize.ambient.waypoints import WaypointNeed, waypoint_needs
from rightsize.audit.model import Sources
from rightsize.errors import NoDataError
from rightsize.files.known import Version, parse_version, version_text
from rightsize.snapshot import Snapshot
from rightsize.snapshot.views import plain_text, pods_with_workloads


@dataclass(frozen=True, eq=False)
class AmbientStudy:
    """What ambient mode would do for this mesh."""

    release: Version | None
    sidecars: pd.Series
    """Pods with a sidecar on the last day, by namespace."""
    obstacles: tuple[Obstacle, ...]
    needs: tuple[WaypointNeed, ...]
    notes: tuple[str, ...]

    def obstacles_of(self, namespace: str) -> tuple[Obstacle, ...]:
        """Obstacles of a namespace, mesh-wide ones left out."""
        return tuple(one for one in self.obstacles if one.namespace == namespace)

    def stopped(self, namespace: str) -> bool:
        """Whether something keeps a namespace on sidecars."""
        return any(
            one.feature.effect == "stops" and one.namespace in (None, namespace)
            for one in self.obstacles
        )


@dataclass(frozen=True, eq=False)
class Meshed:
    """Pods with sidecars on the snapshot's last day."""

    pods: pd.DataFrame
    """As `pods_with_workloads`."""
    containers: pd.DataFrame
    nodes: pd.DataFrame

    @property
    def sidecars(self) -> pd.DataFrame:
        return self.containers[self.containers["component"] == "sidecar"]


def meshed_pods(snapshot: Snapshot) -> Meshed:
    """Read the last day.

    Raises
    ------
    NoDataError
        Without sidecars, ztunnels or waypoints.
    """
    last = snapshot.days[-1:]
    containers = plain_text(snapshot.read("containers", days=last))
    if not containers["component"].isin(("sidecar", "ztunnel", "waypoint")).any():
        raise NoDataError(
            "no sidecar and no ztunnel on the snapshot's last day",
            hint="collect with kube-state-metrics or object files",
        )
    nodes = plain_text(snapshot.read("nodes", days=last))
    return Meshed(pods_with_workloads(snapshot, last), containers, nodes)


def study_ambient(
    snapshot: Snapshot,
    sources: Sources | None = None,
    release: Version | None = None,
    *,
    rates: Rates | None = None,
) -> AmbientStudy:
    """Obstacles and waypoints of every namespace with sidecars.

    Parameters
    ----------
    sources : Sources, optional
        Objects, rules and dashboards, from files or a cluster.
    release : (int, int), optional
        Istio's release, where the snapshot and the files do not say it.
    rates : Rates, optional
        The snapshot's, where they were read already.

    Raises
    ------
    NoDataError
        If the snapshot has no mesh.
    """
    mesh = meshed_pods(snapshot)
    rates = rates or read_rates(snapshot)
    stated = None if sources is None else sources.version
    used = release or stated or parse_version(snapshot.manifest.istio_version)
    found = [
        Obstacle(features()[hit.feature], namespace, f"{kind} {namespace}/{workload}",
                 "snapshot", hit.evidence)
        for namespace, kind, workload, hit in pod_hits(mesh.pods, mesh.sidecars, mesh.nodes)
    ]  # fmt: skip
    given = () if sources is None else object_obstacles(sources, used)
    # What the object itself says need not be said of its pods again.
    known = {(one.feature, one.namespace, one.subject) for one in given}
    unsaid = [one for one in found if (one.feature, one.namespace, one.subject) not in known]
    obstacles = in_force([*given, *unsaid], used)
    counts = mesh.sidecars.groupby("namespace")["pod"].nunique()
    readers = () if sources is None else layer_7_readers(sources)
    needs = waypoint_needs(
        map(str, counts.index), obstacles, readers, rates, objects_read=bool(sources)
    )
    return AmbientStudy(used, counts, obstacles, needs, tuple(_notes(used, sources, rates)))


def _notes(release: Version | None, sources: Sources | None, rates: Rates) -> list[str]:
    notes = []
    if release is None:
        notes.append(
            f"Istio's release is not known: taken as {version_text(LAST_KNOWN)}; say --istio-version"
        )
    elif release < FIRST_STABLE:
        notes.append(
            f"ambient mode is stable from {version_text(FIRST_STABLE)} on: upgrade from "
            f"{version_text(release)} first; what follows holds for {version_text(FIRST_STABLE)}"
        )
    elif release > LAST_KNOWN:
        notes.append(
            f"checked against Istio up to {version_text(LAST_KNOWN)}: read the release notes of "
            f"{version_text(release)}"
        )
    if sources is None:
        notes.append(
            "no objects were read, so obstacles are those that the pods show: give Istio's objects, "
            "NetworkPolicies, alert rules and dashboards with -f, or --kube-context"
        )
    if rates.into.empty:
        notes.append("no traffic was collected: who needs a waypoint rests on objects alone")
    return notes
