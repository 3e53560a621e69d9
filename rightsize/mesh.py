"""The Python interface: one object for one snapshot, plain frames and Axes out of it."""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd

from rightsize.analysis.policies import SizingPolicy
from rightsize.analysis.recommend import recommend
from rightsize.config import PolicySettings, Settings
from rightsize.demo import demo_snapshot
from rightsize.reporters.advice_rows import advice_to_frame
from rightsize.results import Advice
from rightsize.snapshot import Snapshot


class Mesh:
    """A mesh as its snapshot shows it.

    Parameters
    ----------
    snapshot : Snapshot
    settings : Settings, optional

    Examples
    --------
    >>> mesh = rightsize.load("demo")  # doctest: +SKIP
    >>> mesh.recommend(policy="lean").head()  # doctest: +SKIP
    """

    def __init__(self, snapshot: Snapshot, settings: Settings | None = None) -> None:
        self.snapshot = snapshot
        self.settings = settings or Settings()

    def __repr__(self) -> str:
        manifest = self.snapshot.manifest
        kind = "simulated" if manifest.simulated else manifest.source
        days = self.snapshot.days
        return f"<Mesh {manifest.cluster}: {len(days)} days, {days[0]} to {days[-1]}, {kind}>"

    @property
    def usage(self) -> pd.DataFrame:
        """Usage of every mesh container in 5-minute windows, with its workload and component.

        Columns time, namespace, workload, component, pod, container, cpu (cores), memory (bytes),
        periods and throttled_periods (CFS periods).
        """
        usage = self.snapshot.read("usage")
        keys = ["namespace", "pod", "container"]
        owners = self.snapshot.read("containers")[[*keys, "component"]].merge(
            self.snapshot.read("pods")[["namespace", "pod", "workload"]].drop_duplicates(),
            on=["namespace", "pod"],
        )
        owners = owners.dropna(subset="component").drop_duplicates(keys)
        joined = usage.merge(owners, on=keys, how="left")
        first = ["time", "namespace", "workload", "component"]
        joined = joined[first + [c for c in joined.columns if c not in first]]
        return joined.astype(
            dict.fromkeys(["namespace", "workload", "component", "pod"], "category")
        )

    def table(self, name: str) -> pd.DataFrame:
        """One table of the snapshot (`docs/snapshot.md` lists them) over all days."""
        return self.snapshot.read(name)

    def advise(self, policy: str | SizingPolicy | None = None) -> Advice:
        """Recommendations as value types, with evidence and reasons.

        Parameters
        ----------
        policy : str or SizingPolicy, optional
            A profile's name, or an estimator of your own; the settings' profile without.
        """
        if isinstance(policy, str):
            chosen = self.settings.policy.model_copy(update={"profile": policy})
            rules = PolicySettings.model_validate(chosen.model_dump())
            return recommend(self.snapshot, self.settings.model_copy(update={"policy": rules}))
        return recommend(self.snapshot, self.settings, policy=policy)

    def recommend(self, policy: str | SizingPolicy | None = None) -> pd.DataFrame:
        """Recommendations as a frame: one row for each workload and container.

        CPU columns are in cores, memory columns in bytes; the mesh default has no workload.
        """
        return advice_to_frame(self.advise(policy))


def load(snapshot: str | os.PathLike[str] = "demo", settings: Settings | None = None) -> Mesh:
    """Open a snapshot folder; `"demo"` is the simulated demo mesh, made on first use.

    Raises
    ------
    SnapshotError
        If the folder is no snapshot.
    """
    path = demo_snapshot() if snapshot == "demo" else Path(snapshot)
    return Mesh(Snapshot(path), settings)
