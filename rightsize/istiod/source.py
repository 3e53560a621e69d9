"""What the control-plane commands read of a snapshot: one istiod's rows, not the whole mesh's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pandas as pd

from rightsize.config import PolicySettings
from rightsize.istiod.observations import IstiodTables, before
from rightsize.istiod.sizing import IstiodAdvice, in_force, recommend_istiod
from rightsize.istiod.thresholds import Outlook, istiod_node, outlook
from rightsize.snapshot import Snapshot
from rightsize.snapshot.views import usage_of_pods

_OF_NODES = ("node", "zone", "kind", "allocatable_cpu", "allocatable_memory")


def istiod_revisions(snapshot: Snapshot) -> tuple[str, ...]:
    """Workloads of istiod that ran on its last day, the one with most proxies first.

    Each revision is an istiod of its own. One name, empty, where the snapshot knows no owners.
    """

    def found() -> tuple[str, ...]:
        owners = _owners(snapshot.read("containers"), snapshot.read("pods"))
        return _running(owners, snapshot.read("control_plane"))

    return snapshot.once("istiod revisions", found)


def read_istiod(snapshot: Snapshot, revision: str | None = None) -> IstiodTables:
    """Read one istiod's part of a snapshot.

    Parameters
    ----------
    revision : str, optional
        Workload, as `istiod_revisions` names it; the one with most proxies without.

    Returns
    -------
    IstiodTables
        With the hours of the revisions that ran before this one, so that an upgrade does not
        begin again without a history.
    """
    running = istiod_revisions(snapshot)
    wanted = revision if revision is not None else (running[0] if running else "")
    return snapshot.once(("istiod", wanted), lambda: _read(snapshot, wanted, running))


def _read(snapshot: Snapshot, wanted: str, running: Sequence[str]) -> IstiodTables:
    containers, pods = snapshot.read("containers"), snapshot.read("pods")
    control_plane = snapshot.read("control_plane")
    owners = _owners(containers, pods)
    containers = containers[containers["component"] == "istiod"]
    usage = usage_of_pods(snapshot, containers)

    def of(workload: str) -> IstiodTables:
        names = set(owners.loc[owners["workload"] == workload, "pod"])
        return IstiodTables(
            control_plane=_of_pods(control_plane, names),
            usage=_of_pods(usage, names),
            containers=_of_pods(containers, names),
            pods=pods,
            hpas=snapshot.read("hpas"),
            nodes=snapshot.read("nodes", columns=_OF_NODES),
            revision=workload,
        )

    others = [name for name in dict.fromkeys(owners["workload"]) if name != wanted]
    if not others:
        ours = control_plane if owners.empty else _of_pods(control_plane, set(owners["pod"]))
        return replace(of(wanted), control_plane=ours)
    own = of(wanted)
    return replace(
        own,
        **before(own.hours, {name: of(name).hours for name in others}),
        side_by_side=tuple(name for name in running if name != wanted),
    )


def _owners(containers: pd.DataFrame, pods: pd.DataFrame) -> pd.DataFrame:
    """Columns pod, workload and day of istiod's pods; the workload is empty where unknown."""
    ours = containers[containers["component"] == "istiod"][["day", "namespace", "pod"]].astype(
        {"namespace": str, "pod": str}
    )
    known = pods[["namespace", "pod", "workload"]].dropna().astype(str)
    owner = known.drop_duplicates(["namespace", "pod"], keep="last")
    found = ours.merge(owner, on=["namespace", "pod"], how="left")
    return found.assign(workload=found["workload"].fillna(""))


def _running(owners: pd.DataFrame, control_plane: pd.DataFrame) -> tuple[str, ...]:
    if owners.empty:
        return ()
    last = owners[owners["day"] == owners["day"].max()].drop_duplicates("pod")
    proxies = control_plane[control_plane["metric"] == "pilot_xds"]
    newest = proxies[proxies["time"] > proxies["time"].max() - pd.Timedelta(1, "D")]
    by_pod = newest.groupby(newest["pod"].astype(str))["value"].mean()
    weight = last.assign(proxies=last["pod"].map(by_pod).fillna(0.0))
    order = weight.groupby("workload", sort=True)["proxies"].sum()
    return tuple(str(name) for name in order.sort_values(ascending=False, kind="stable").index)


def _of_pods(rows: pd.DataFrame, pods: set[str]) -> pd.DataFrame:
    return rows[rows["pod"].astype(str).isin(pods)]


def size_istiod(
    snapshot: Snapshot, settings: PolicySettings | None = None, revision: str | None = None
) -> IstiodAdvice:
    """Size one of the snapshot's istiods; the parameters are those of `study_istiod`.

    Raises
    ------
    NoDataError
        Where the snapshot holds nothing of istiod.
    """
    tables, manifest = read_istiod(snapshot, revision), snapshot.manifest
    rules = settings or PolicySettings()
    return snapshot.once(
        ("istiod's sizes", tables.revision, rules.model_dump_json()),
        lambda: recommend_istiod(
            tables, region=manifest.region, istio_version=manifest.istio_version, settings=rules
        ),
    )


def study_istiod(
    snapshot: Snapshot, settings: PolicySettings | None = None, revision: str | None = None
) -> tuple[IstiodAdvice, Outlook]:
    """Size one of the snapshot's istiods and project when it outgrows what it has.

    Parameters
    ----------
    revision : str, optional
        As for `read_istiod`.

    Raises
    ------
    NoDataError
        Where the snapshot holds nothing of istiod.
    """
    tables = read_istiod(snapshot, revision)
    advice = size_istiod(snapshot, settings, revision)
    ahead = outlook(
        tables.hours,
        advice.model,
        in_force=in_force(tables.containers),
        node=istiod_node(tables.pods, tables.containers, tables.nodes),
    )
    return advice, ahead
