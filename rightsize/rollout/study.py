"""Everything that a plan is made of, gathered once from a snapshot."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from rightsize.audit.measured import measured_findings
from rightsize.audit.model import Finding
from rightsize.beside import Beside, at_need
from rightsize.config import Settings
from rightsize.cost.other import other_costs
from rightsize.errors import NoDataError, UsageError
from rightsize.istiod.sizing import IstiodAdvice, in_force
from rightsize.istiod.source import read_istiod, size_istiod
from rightsize.istiod.thresholds import Outlook, istiod_node, outlook
from rightsize.namespaces.configuration import Configuration
from rightsize.namespaces.shard_loads import Namespaces, namespaces_of
from rightsize.namespaces.shards import ShardAdvice, choose_shards
from rightsize.namespaces.study import ScopeStudy, study_scope
from rightsize.namespaces.traffic import namespace_labels
from rightsize.nodes.autoscaler import AutoscalerKind, autoscaler_in_use
from rightsize.nodes.holds import holds
from rightsize.prices.unit_price import unit_price
from rightsize.recommend import recommend
from rightsize.results import Advice, Component, Rule, Sizes
from rightsize.rollout.canary import kubernetes_minor
from rightsize.rollout.ledger import Ledger
from rightsize.sizing.node_bound import ANY_NODE, Largest, largest_node
from rightsize.snapshot import Manifest, Snapshot
from rightsize.snapshot.views import newest_rows

Progress = Callable[[str], None]
_Found = TypeVar("_Found")


@dataclass(frozen=True)
class PlanStudy:
    """What every command says of one snapshot; None where it lacks the data."""

    manifest: Manifest
    settings: Settings
    advice: Advice
    istiod: IstiodAdvice | None
    outlook: Outlook | None
    scope: ScopeStudy | None
    shards: ShardAdvice | None
    mesh: Namespaces | None
    namespace_labels: Mapping[str, Mapping[str, str]]
    ledger: Ledger | None
    findings: tuple[Finding, ...]
    configured: bool
    """Istio's own objects were given, so that scopes keep the routes of VirtualServices."""
    missing: tuple[tuple[str, str], ...]
    """What could not be studied, and why."""
    autoscaler: AutoscalerKind = "cluster-autoscaler"
    holds: tuple[str, ...] = ()
    """What keeps that autoscaler from taking nodes away."""
    most: Largest = ANY_NODE
    """No size beyond it is written."""
    kubernetes_minor: int | None = None
    """Release of the nodes' kubelets, 33 for 1.33; None is unknown."""


def study_plan(
    snapshot: Snapshot,
    settings: Settings | None = None,
    *,
    now: datetime,
    configuration: Configuration | None = None,
    found: tuple[Finding, ...] = (),
    given: Mapping[Component, Sizes] | None = None,
    progress: Progress = lambda _: None,
    beside: Beside = at_need,
) -> PlanStudy:
    """Run every analysis with recommendations that belong in a plan.

    Parameters
    ----------
    now : datetime
        The time against which certificates are judged.
    configuration : Configuration, optional
        Istio's own objects, for scopes (see `study_scope`).
    found : tuple of Finding, optional
        Findings of an audit of the user's files.
    given : mapping of Component to Sizes, optional
        What the user's files set (see `recommend`).
    progress : callable, optional
        Called with what is being done.
    beside : Beside
        Where scopes are studied while the rest is.

    Raises
    ------
    NoDataError
        Where the snapshot holds no mesh container at all.
    """
    rules = settings or Settings()
    missing: list[tuple[str, str]] = []

    def attempted(what: str, work: Callable[[], _Found]) -> _Found | None:
        progress(what)
        try:
            return work()
        except (NoDataError, UsageError) as error:
            missing.append((what, error.what))
            return None

    of_scope = beside(_scope, snapshot, configuration, rules)
    progress("Sizing workloads")
    advice = recommend(snapshot, rules, given=given)
    tables = read_istiod(snapshot)
    istiod = attempted("istiod", lambda: size_istiod(snapshot, rules.policy))
    node = istiod_node(tables.pods, tables.containers, tables.nodes)
    ahead = None
    if istiod is not None:
        model = istiod.model
        ahead = attempted(
            "thresholds",
            lambda: outlook(tables.hours, model, in_force=in_force(tables.containers), node=node),
        )
    kind = autoscaler_in_use(newest_rows(snapshot, "nodes"))
    held = holds(
        kind,
        *(newest_rows(snapshot, t) for t in ("pods", "containers", "pdbs")),
        minimum=rules.nodes.group_minimum,
    )
    ledger = attempted("nodes and money", lambda: Ledger(snapshot, advice, rules))
    scope = attempted("scope", of_scope)
    mesh = shards = None
    if scope is not None and istiod is not None and istiod.model is not None:
        edges, model = scope.edges, istiod.model
        containers = snapshot.read("containers")
        mesh = attempted(
            "shards", lambda: namespaces_of(edges, tables.pods, containers, model.load.services)
        )
    if mesh is not None and istiod is not None and istiod.model is not None:
        price = unit_price(snapshot.manifest.region).price
        whole, fitted = mesh, istiod.model
        objects = configuration or Configuration()
        # Namespaces with configuration alone belong to every shard.
        kept = tuple(name for name in objects.namespaces if name not in whole.names)
        shards = attempted(
            "shards", lambda: choose_shards(whole, fitted, price, node=node, kept=kept)
        )
    if istiod is not None and istiod.propagation.hold is not None:
        no_cut = any(Rule.HOLD in (r.cpu.rule, r.memory.rule) for r in advice.of("istiod"))
        missing += [("a smaller istiod", istiod.propagation.hold)] if no_cut else []
    return PlanStudy(
        manifest=snapshot.manifest,
        settings=rules,
        advice=advice,
        istiod=istiod,
        outlook=ahead,
        scope=scope,
        shards=shards,
        mesh=mesh,
        namespace_labels=namespace_labels(snapshot.read("namespaces")),
        ledger=ledger,
        findings=(*measured_findings(snapshot, now=now)[0], *found),
        configured=configuration is not None,
        missing=tuple(missing),
        autoscaler=kind,
        holds=tuple(held),
        most=largest_node(snapshot),
        kubernetes_minor=kubernetes_minor(snapshot),
    )


def _scope(snapshot: Snapshot, configuration: Configuration | None, rules: Settings) -> ScopeStudy:
    return study_scope(
        snapshot,
        configuration=configuration,
        settings=rules.nodes,
        cross_zone=other_costs(rules.prices.other_costs_file).get("cross_zone"),
    )
