"""A mesh of five workloads with nodes, an autoscaler and a gateway, and its plan."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from rightsize.config import PriceSettings, Settings
from rightsize.nodes.plan import NodePlan
from rightsize.rollout.build import build_plan
from rightsize.rollout.model import RolloutPlan
from rightsize.rollout.study import PlanStudy, study_plan
from rightsize.snapshot import Snapshot
from tests.tiny_mesh import MIB, Tiny, hpa, tiny_snapshot

NOW = datetime(2026, 9, 11, tzinfo=UTC)
WEB = Tiny("web", pods=6, cpu=(0.004,), memory=(50 * MIB,), app_cpu_request=0.45)
STARVED = Tiny(
    "hot", "data", pods=2, cpu=(0.19, 0.2), cpu_request=0.1, cpu_limit=0.2, throttled=0.2,
    memory=(90 * MIB,), app_cpu_request=0.3,
)  # fmt: skip
STORE = Tiny("store", "data", kind="StatefulSet", pods=1, app_cpu_request=0.3)
GATEWAY = Tiny(
    "gw", "istio-ingress", "gateway", pods=2, cpu=(0.02,), cpu_request=1.0,
    memory_request=1024 * MIB,
)  # fmt: skip
ISTIOD = Tiny(
    "istiod", "istio-system", "istiod", "discovery", pods=2, cpu=(0.05,), cpu_request=0.5,
    cpu_limit=None, memory=(300 * MIB,), memory_request=2048 * MIB, memory_limit=None,
)  # fmt: skip


def tiny_mesh(folder: Path) -> Snapshot:
    apps = [WEB, WEB.but(workload="api"), STARVED, STORE, GATEWAY, ISTIOD]
    return tiny_snapshot(folder, *apps, hpas=hpa("web", 70.0), nodes=6)


def tiny_plan(folder: Path) -> tuple[PlanStudy, RolloutPlan, NodePlan | None]:
    settings = Settings(prices=PriceSettings(commitment_usd_per_hour=0))
    study = study_plan(tiny_mesh(folder), settings, now=NOW)
    return (study, *build_plan(study))
