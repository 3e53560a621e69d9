"""The phases in order, with their money."""

from __future__ import annotations

from rightsize.nodes.plan import NodePlan
from rightsize.rollout import later_phases, mesh_phases
from rightsize.rollout.ledger import Ledger
from rightsize.rollout.model import Phase, PhaseMoney, RolloutPlan, Waiting
from rightsize.rollout.parts import SIZE_PHASES, rows_of
from rightsize.rollout.size_phases import size_phase
from rightsize.rollout.study import PlanStudy

_NO_NODE = "frees no node by itself"


def build_plan(study: PlanStudy) -> tuple[RolloutPlan, NodePlan | None]:
    """Order everything that was studied; also returns the node set to buy last, if there is one.

    The ledger of the study is used up: its stages are applied in the order of the phases.
    """
    ledger = study.ledger
    phases: list[Phase | Waiting | None] = [
        mesh_phases.baseline(_nothing(ledger, "nothing is changed")),
        mesh_phases.findings(study, _nothing(ledger, "not about size")),
        mesh_phases.propagation(study, _nothing(ledger, "not about size")),
    ]
    for name in SIZE_PHASES:
        if rows_of(study.advice, name):
            phases.append(size_phase(study, name, None if ledger is None else ledger.sizes(name)))
    if ledger is not None:
        phases.append(later_phases.fewer_nodes(study, ledger.fewer_nodes(), ledger.nodes_today))
    waits = _nothing(ledger, "the saving waits for the cut after the scope")
    phases += [
        mesh_phases.discovery(study, waits),
        mesh_phases.sidecar_scopes(study, waits),
        mesh_phases.destination_rules(study, _nothing(ledger, _NO_NODE)),
        mesh_phases.injection_off(study, _without_sidecars(study)),
        mesh_phases.shards(study),
    ]
    if later_phases.moves_on(study.advice):
        money = None if ledger is None else ledger.end_state()
        phases.append(later_phases.next_step(study.advice, money))
    names = {found.name for found in phases if isinstance(found, Phase)}
    scoped = bool({"discovery-selectors", "sidecar-scopes"} & names)
    if scoped:
        memory = later_phases.scoped_memory(study)
        money = None if ledger is None else ledger.after_scope(memory)
        phases.append(later_phases.cut_after_scope(study, money))
    bought = None if ledger is None else ledger.other_types()
    if bought is not None:
        phases.append(later_phases.buy_nodes(*bought))
    return _plan(study, phases, bought is not None), None if bought is None else bought[0]


def _plan(study: PlanStudy, found: list[Phase | Waiting | None], bought: bool) -> RolloutPlan:
    ledger, manifest = study.ledger, study.manifest
    waiting = [one for one in found if isinstance(one, Waiting)] + _waiting(study)
    if ledger is not None and not bought:
        waiting.append(
            Waiting("other machine types", "none is sure to cost less (rightsize nodes)")
        )
    return RolloutPlan(
        cluster=manifest.cluster,
        simulated=manifest.simulated,
        start=study.advice.start,
        end=study.advice.end,
        istio_version=manifest.istio_version,
        region=None if ledger is None else ledger.region,
        nodes_today=None if ledger is None else ledger.nodes_today,
        bill_today=None if ledger is None else ledger.bill.today.total,
        prices="no price was used" if ledger is None else "; ".join(ledger.prices),
        phases=tuple(one for one in found if isinstance(one, Phase)),
        waiting=tuple(waiting),
        ahead=_ahead(study),
        notes=_notes(study),
    )


def _nothing(ledger: Ledger | None, note: str) -> PhaseMoney | None:
    return None if ledger is None else ledger.nothing(note)


def _without_sidecars(study: PlanStudy) -> PhaseMoney | None:
    if study.ledger is None or study.scope is None or not study.scope.injection:
        return None
    return study.ledger.without_sidecars({(c.namespace, c.workload) for c in study.scope.injection})


def _waiting(study: PlanStudy) -> list[Waiting]:
    waiting = [Waiting(what, why) for what, why in study.missing]
    if study.scope is None:
        return waiting
    waiting += [
        Waiting(f"the Sidecar of namespace {found.namespace}", found.confidence.text)
        for found in study.scope.egress
        if not found.confidence.enough
    ]
    waiting += [
        Waiting(f"a Sidecar for namespace {name}", "it was never seen to call anybody")
        for name in study.scope.silent
    ]
    if not study.scope.rules.rules:
        most = sorted(study.scope.rules.turned_down.items(), key=lambda item: -item[1])
        why = "; ".join(f"{count} services: {reason}" for reason, count in most)
        waiting.append(Waiting("connection pools and outlier detection", why or "no service"))
    if not study.scope.injection:
        waiting.append(Waiting("injection switched off", "every sidecar has traffic"))
    return waiting


def _ahead(study: PlanStudy) -> tuple[str, ...]:
    if study.outlook is None:
        return ()
    lines = []
    for crossing in study.outlook.crossings:
        if crossing.passed:
            lines.append(f"{crossing.threshold.what}: passed already")
        elif crossing.earliest is not None:
            expected = crossing.expected or "beyond two years"
            lines.append(
                f"{crossing.threshold.what}: {expected}, at the earliest {crossing.earliest}"
            )
    return tuple(lines)


def _notes(study: PlanStudy) -> tuple[str, ...]:
    notes = []
    ledger = study.ledger
    if ledger is None:
        notes.append("No node plan, so no saving is stated for any phase.")
    elif not ledger.bill.terms.commitments.known:
        notes.append(
            "Commitments are unknown: savings are on-demand equivalent, and none is promised "
            "(prices.commitment_usd_per_hour = 0 says that none is held)."
        )
    return (*notes, *study.advice.warnings, *study.advice.missing_in_short)
