"""The month's figures again, from the Parquet files alone: nothing of the program is imported here."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

FIVE_MINUTES = pd.Timedelta(minutes=5)
VOLUME_USD = 20 * 0.08 / 730
"""An hour of a root volume of 20 GiB at 0.08 USD a GB-month of 730 hours."""
EKS_USD = 0.10
CROSS_ZONE_USD = 0.02
SYSTEM = ("kube-system", "kube-public", "kube-node-lease")
POD = ["day", "namespace", "pod"]


@dataclass(frozen=True)
class Recomputed:
    """One month of a snapshot whose machines are on demand, without commitments or ended pods."""

    snapshot: Path
    month: str
    data: Path
    """Folder with the bundled price list."""

    def table(self, name: str) -> pd.DataFrame:
        days = sorted((self.snapshot / name).glob(f"{self.month}-*.parquet"))
        parts = [pd.read_parquet(file).assign(day=file.stem) for file in days]
        table = pd.concat(parts, ignore_index=True)
        texts = table.select_dtypes("category").columns
        return table.astype(dict.fromkeys(texts, object))

    @cached_property
    def prices(self) -> pd.Series:
        listed = pd.read_csv(self.data / "ec2_on_demand_prices.csv.gz")
        ours = (listed["region"] == "us-east-1") & (listed["tenancy"] == "shared")
        return listed[ours].set_index("instance_type")["usd_per_hour"]

    @cached_property
    def unit(self) -> tuple[float, float]:
        """USD an hour of a core and of a byte: relative least squares over m, c and r machines."""
        types = pd.read_csv(self.data / "ec2_instance_types.csv.gz").set_index("instance_type")
        kept = types.index.str.match(r"^[mcr]\d+[ai]?\.(?:large|xlarge|2xlarge|4xlarge)$")
        types = types[kept].join(self.prices, how="inner")
        memory = types["memory_mib"] / 1024
        shape = np.column_stack([types["vcpu"], memory]) / types["usd_per_hour"].to_numpy()[:, None]
        core, gibibyte = np.linalg.lstsq(shape, np.ones(len(types)), rcond=None)[0]
        assert min(core, gibibyte) > 0
        return float(core), float(gibibyte) / 2**30

    @cached_property
    def nodes(self) -> pd.DataFrame:
        nodes = self.table("nodes")
        hours = hours_of(nodes)
        usd = hours * nodes["instance_type"].map(self.prices)
        return nodes.assign(hours=hours, ec2=usd, usd=usd + hours * VOLUME_USD)

    @property
    def hours(self) -> float:
        return 24.0 * self.nodes["day"].nunique()

    @cached_property
    def crossing(self) -> float:
        """USD of what crosses zones, if both ends are picked at random."""
        pods = self.table("pods").merge(self.nodes[["day", "node", "zone"]], on=["day", "node"])
        counts = pods.groupby(["namespace", "workload", "zone"]).size().unstack(fill_value=0)
        shares = {
            key: row / row.sum() for key, row in zip(counts.index, counts.to_numpy(), strict=True)
        }
        moved = self.table("traffic")
        ends = [
            "source_namespace",
            "source_workload",
            "destination_namespace",
            "destination_workload",
        ]
        usd = 0.0
        for (a, b, c, d), size in moved.groupby(ends)["bytes"].sum().items():
            if (a, b) in shares and (c, d) in shares:
                usd += size * (1 - float(shares[a, b] @ shares[c, d])) / 1e9 * CROSS_ZONE_USD
        return usd * self.hours / moved["time"].nunique()

    @property
    def bill(self) -> float:
        return float(self.nodes["usd"].sum()) + EKS_USD * self.hours + self.crossing

    @cached_property
    def asked(self) -> pd.DataFrame:
        """Each container's part of its machine, USD."""
        containers = self.table("containers")
        runs = ~containers["init"].fillna(False).astype(bool)
        runs |= containers["native"].fillna(False).astype(bool)
        pods = self.table("pods")
        pods = pods.assign(hours=hours_of(pods))[[*POD, "workload", "node", "hours"]]
        rows = containers[runs].merge(pods, on=POD)
        core, byte = self.unit
        worth = rows["cpu_request"].fillna(0) * core + rows["memory_request"].fillna(0) * byte
        rows = rows.assign(worth=worth * rows["hours"])
        nodes = self.nodes
        whole = (nodes["capacity_cpu"] * core + nodes["capacity_memory"] * byte) * nodes["hours"]
        rows = rows.merge(nodes.assign(rate=nodes["usd"] / whole)[["day", "node", "rate"]],
                          on=["day", "node"])  # fmt: skip
        return rows.assign(usd=rows["worth"] * rows["rate"])

    def causes(self) -> dict[str, float]:
        core, byte = self.unit
        nodes, rows = self.nodes, self.asked
        rate = nodes["usd"] / (nodes["capacity_cpu"] * core + nodes["capacity_memory"] * byte)
        kept = (nodes["capacity_cpu"] - nodes["allocatable_cpu"]) * core
        kept += (nodes["capacity_memory"] - nodes["allocatable_memory"]) * byte
        mesh, system = rows["component"].notna(), rows["namespace"].isin(SYSTEM)
        found = {
            "mesh": float(rows.loc[mesh, "usd"].sum()),
            "application": float(rows.loc[~mesh & ~system, "usd"].sum()),
            "system": float(rows.loc[~mesh & system, "usd"].sum() + (kept * rate).sum()),
            "shared": EKS_USD * self.hours + self.crossing,
        }
        return found | {"idle": self.bill - sum(found.values())}

    def by_workload(self) -> pd.Series:
        rows = self.asked
        part = np.where(rows["component"].notna(), "mesh",
                        np.where(rows["namespace"].isin(SYSTEM), "system", "application"))  # fmt: skip
        keys = rows.assign(part=part, component=rows["component"].fillna("–"))
        return keys.groupby(["part", "component", "namespace", "workload"])["usd"].sum()

    @cached_property
    def requests(self) -> pd.Series:
        """Requests served by namespace and workload; connections of TCP are none."""
        moved = self.table("traffic")
        moved = moved[moved["protocol"] != "tcp"]
        return moved.groupby(["destination_namespace", "destination_workload"])["requests"].sum()

    def usage(self) -> pd.DataFrame:
        """Windows of mesh containers with `namespace`, `workload` and `component`."""
        pods = self.table("pods")[[*POD, "workload"]]
        kinds = self.table("containers")[[*POD, "container", "component"]]
        owned = kinds[kinds["component"].notna()].merge(pods, on=POD)
        return self.table("usage").merge(owned, on=[*POD, "container"])


def hours_of(seen: pd.DataFrame) -> pd.Series:
    """Hours of the day in which a pod or a node was seen."""
    lived = seen["last_seen"] - seen["first_seen"] + FIVE_MINUTES
    return (lived / pd.Timedelta(hours=1)).clip(0, 24)
