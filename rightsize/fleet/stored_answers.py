"""Whether an answer that was found in a store is one: what a fleet's tables and files read of it.

What it says beyond that is passed on as it is, in JSON alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field

from rightsize.results import Component
from rightsize.snapshot.schema import LARGEST_CPU, LARGEST_MEMORY

MOST_BYTES = 64 * 2**20
"""Of an answer, and of an earlier report."""
Cpu = Annotated[float, Field(ge=0, le=LARGEST_CPU)] | None
Memory = Annotated[float, Field(ge=0, le=LARGEST_MEMORY)] | None
Count = Annotated[float, Field(ge=0, le=1e9)]
Usd = Annotated[float, Field(ge=-1e12, le=1e12)]
Text = Annotated[str, Field(max_length=1000)]


class _Known(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True)


class _Shared(_Known):
    component: Component
    namespace: Text | None
    workload: Text | None
    kind: Text | None
    replicas: Count
    changes: bool
    cpu_request: Cpu
    cpu_limit: Cpu
    cpu_recommended_request: Cpu
    cpu_recommended_limit: Cpu
    memory_request: Memory
    memory_limit: Memory
    memory_recommended_request: Memory
    memory_recommended_limit: Memory


class _Cpu(_Known):
    request: Cpu
    recommended_request: Cpu


class _Memory(_Known):
    request: Memory
    recommended_request: Memory


class _Row(_Known):
    workload: Text | None
    running: bool
    changes: bool
    replicas: Count
    cpu: _Cpu
    memory: _Memory


class _Advice(_Known):
    recommendations: list[_Row]


class _Nodes(_Known):
    nodes: Count
    usd_per_month: Usd | None


class _Plan(_Known):
    name: Text
    promised: _Nodes | None


class _Expected(_Known):
    freed: Annotated[float, Field(ge=-1e9, le=1e9)] | None
    with_setting: Text | None


class _NodePlans(_Known):
    today: _Nodes
    plans_recommended: list[_Plan] | None
    expected: _Expected | None


class _Interval(_Known):
    low: Usd
    mid: Usd
    high: Usd


class _Figure(_Known):
    label: Text
    value: _Interval | Usd | Text | None


class _Today(_Known):
    today: Count | None = None


class _Facts(_Known):
    bill_usd: _Interval | Usd | None = None
    mesh_usd: Usd | None = None
    nodes: _Today | None = None


class _Report(_Known):
    figures: list[_Figure]
    facts: _Facts


class _Answer(_Known):
    cluster: Text
    region: Text | None
    simulated: bool
    days: Count
    newest: datetime
    usd_per_core_hour: Annotated[float, Field(ge=0, le=1e3)]
    usd_per_byte_hour: Annotated[float, Field(ge=0, le=1e-3)]
    istiods: list[Text]
    shared: list[_Shared]


class _Sizes(_Answer):
    advice: _Advice


class _Planned(_Answer):
    nodes: _NodePlans


class _Reviewed(_Answer):
    pages: Annotated[str, Field(pattern=r"/answers/report\.[0-9a-f]{64}\.zip$")]
    report: _Report
    month_days: Count
    workloads: Count
    risk: Annotated[float, Field(ge=0, le=1)] | None
    oom_kills: Count | None
    missing: Count


Kind = Literal["recommend", "nodes", "report"]
_KINDS: Mapping[Kind, type[_Answer]] = {
    "recommend": _Sizes,
    "nodes": _Planned,
    "report": _Reviewed,
}


def read_answer(content: bytes, kind: Kind, cluster: str) -> dict[str, Any]:
    """An answer of this kind and cluster as it was stored.

    Raises
    ------
    ValueError
        If it is none.
    """
    found = orjson.loads(content)
    known = _KINDS[kind].model_validate_json(content)
    if known.cluster != cluster:
        raise ValueError("of another cluster")
    if isinstance(known, _Reviewed) and not known.pages.startswith(f"{cluster}/answers/"):
        raise ValueError("with the pages of another cluster")
    if known.newest.tzinfo is None:
        raise ValueError("without a time zone")
    plain: dict[str, Any] = found
    return plain
