"""Files and commands of the phases about the shape of the mesh, and of the first one."""

from __future__ import annotations

import json
from collections.abc import Mapping

from rightsize.audit.measured import MEASURED_RULES
from rightsize.audit.model import Finding
from rightsize.border import command, path_part
from rightsize.files.istioctl import istioctl
from rightsize.files.yaml_text import to_yaml
from rightsize.istiod.pilot_settings import (
    DEBOUNCE_AFTER,
    DEBOUNCE_MAX,
    PUSH_THROTTLE,
    PilotSetting,
    push_throttle,
)
from rightsize.namespaces.export import EXPORT
from rightsize.namespaces.injection import InjectionCandidate
from rightsize.namespaces.manifests import sidecar, sidecar_comment
from rightsize.namespaces.scope_files import scope_files
from rightsize.namespaces.shard_files import shard_files
from rightsize.namespaces.study import ScopeStudy
from rightsize.patch.kustomize import API_VERSIONS
from rightsize.patch.manifests import POD_TEMPLATES
from rightsize.rollout.mesh_phases import ready_scopes
from rightsize.rollout.steps import PhaseFiles, Step, helm_upgrade, patch, resource_of
from rightsize.rollout.study import PlanStudy
from rightsize.rollout.words import script, steps

_ROOT = "istio-system"
_MEASURED = {name for name, _, _ in MEASURED_RULES}
_INJECT = "sidecar.istio.io/inject"
_SELECTORS = "2-discovery-selectors-values.yaml"
_LABELS = "1-label-namespaces.sh"


def baseline_files(folder: str, rules: str, operator_rules: str) -> PhaseFiles:
    """Copies for the ways back, and the rules."""
    forth, back = steps("baseline", folder=folder, rules=rules)
    save = script("save-state", export=EXPORT.replace("istio.yaml", "before/istio.yaml"))
    files = {"save-state.sh": save, "prometheus-rule.yaml": operator_rules}
    return PhaseFiles(tuple(forth), tuple(back), files)


def findings_files(study: PlanStudy) -> PhaseFiles:
    """What each finding asks for; none of it is a file of this plan."""
    found = [
        Step(f"{_where(f)}{f.rule}: {f.evidence}.", tuple(f.fix.splitlines()), "text")
        for f in study.findings
    ]
    return PhaseFiles(tuple(found), tuple(steps("findings")[1]))


def propagation_files(study: PlanStudy, folder: str) -> PhaseFiles:
    """One setting at a time, as a values file each."""
    assert study.istiod is not None
    assert study.istiod.propagation.finding is not None
    version = study.manifest.istio_version
    files: dict[str, str] = {}
    forth, back = steps("propagation")
    for number, change in enumerate(study.istiod.propagation.finding.changes, start=1):
        value = _value(change.setting, version, study.istiod.cpu.limit)
        if change.setting is None or value is None:
            forth.append(Step(f"{change.what[0].upper()}{change.what[1:]}."))
            continue
        name = f"{number}-{change.setting.name.lower().replace('_', '-')}-values.yaml"
        # `env` must be a map: the chart does not render a list.
        files[name] = to_yaml(
            [{"pilot": {"env": {change.setting.name: value}}}], comment=f"{change.what}."
        )
        said = f"{change.what[0].upper()}{change.what[1:]}."
        forth.append(Step(said, (_upgrade(study, f"{folder}/{name}"),)))
    return PhaseFiles(tuple(forth), tuple(back), files)


def discovery_files(study: PlanStudy, folder: str) -> PhaseFiles:
    """Labels first, selectors after."""
    scope = _scope(study)
    made = scope_files(scope, istio_version=study.manifest.istio_version)
    found = scope.discovery
    forth, back = steps(
        "discovery-selectors",
        folder=folder,
        selected=len(found.selected),
        label=f"{found.label}={found.value}",
        upgrade=_upgrade(study, f"{folder}/{_SELECTORS}"),
    )
    return PhaseFiles(
        tuple(forth), tuple(back), {name: made[name] for name in (_LABELS, _SELECTORS)}
    )


def _upgrade(study: PlanStudy, file: str) -> str:
    """istiod's release with a file laid over the values in force."""
    version = study.manifest.istio_version
    return helm_upgrade("istiod", "istiod", _ROOT, [file], istio_version=version, reuse=True)


def sidecar_files(study: PlanStudy, folder: str) -> PhaseFiles:
    """One namespace after the other."""
    files: dict[str, str] = {}
    forth, back = steps("sidecar-scopes", routes_unknown=not study.configured)
    for found in ready_scopes(_scope(study)):
        space, name = found.namespace, f"{path_part(found.namespace)}.yaml"
        files[name] = to_yaml(
            [sidecar(found, study.manifest.istio_version)], comment=sidecar_comment(found)
        )
        check = istioctl(None, "analyze", f"{folder}/{name}", flags={"-n": space})
        apply = command("kubectl", "apply", "-f", f"{folder}/{name}")
        said = f"{space}: {len(found.hosts)} hosts; {found.confidence.text}."
        forth.append(Step(said, (check, apply)))
        back.append(Step(f"{space}:", (_deletion("sidecars", "default", space),)))
    return PhaseFiles(tuple(forth), tuple(back), files)


def _deletion(kind: str, name: str, namespace: str) -> str:
    return command("kubectl", "delete", f"{kind}.networking.istio.io", name, "-n", namespace)


def rule_files(study: PlanStudy, folder: str) -> PhaseFiles:
    """A DestinationRule for each service."""
    scope = _scope(study)
    made = scope_files(scope, istio_version=study.manifest.istio_version)
    files = {
        name.rsplit("/", 1)[-1]: text for name, text in made.items() if "destination-rules" in name
    }
    forth, back = steps("destination-rules")
    for rule in scope.rules.rules:
        name = f"{path_part(f'{rule.namespace}-{rule.name}')}.yaml"
        apply = command("kubectl", "apply", "-f", f"{folder}/{name}")
        forth.append(Step(f"{rule.host}:", (apply,)))
        gone = _deletion("destinationrules", rule.name, rule.namespace)
        back.append(Step(f"{rule.host}:", (gone,)))
    return PhaseFiles(tuple(forth), tuple(back), files)


def injection_files(study: PlanStudy, folder: str) -> PhaseFiles:
    """The label of each pod template, and its removal."""
    files: dict[str, str] = {}
    forth, back = [], []
    for found in _scope(study).injection:
        who = f"{found.namespace}/{found.workload}"
        if found.kind not in POD_TEMPLATES:
            forth.append(Step(f"{who} ({found.kind}): put {found.label} on the pod by hand."))
            continue
        name = f"{path_part(who.replace('/', '-', 1))}.yaml"
        files[name] = to_yaml([_labelled(found, "false")], comment=f"{who}: no sidecar.")
        forth.append(
            Step(
                f"{who}, once its owner agrees:",
                patch(found.kind, found.namespace, found.workload, f"{folder}/{name}").commands,
            )
        )
        null = json.dumps(_template(found, None))
        words = ("kubectl", "patch", resource_of(found.kind), found.workload)
        back.append(
            Step(
                f"{who}:", (command(*words, "-n", found.namespace, "--type", "merge", "-p", null),)
            )
        )
    return PhaseFiles(tuple(forth), tuple(back), files)


def sharding_files(study: PlanStudy, folder: str) -> PhaseFiles:
    """Values of each shard, labels, and the order of the namespaces."""
    assert study.shards is not None
    assert study.mesh is not None
    files = shard_files(
        study.shards,
        study.mesh,
        istio_version=study.manifest.istio_version,
        labels=study.namespace_labels,
        most=study.most,
    )
    forth, back = steps("shards", folder=folder)
    return PhaseFiles(tuple(forth), tuple(back), files)


def _where(finding: Finding) -> str:
    """File and line, of what stands in a file."""
    place = finding.place
    return f"{place.file}:{place.line}, " if finding.rule not in _MEASURED else ""


def _value(setting: PilotSetting | None, version: str | None, cores: float | None) -> str | None:
    """The next value to try: twice the concurrency, half the ceiling, twice the quiet time."""
    if setting is PUSH_THROTTLE:
        now = push_throttle(version, cores)
        return None if now is None else f"{min(2 * now, 100):.0f}"
    if setting is DEBOUNCE_MAX:
        return "5s"
    return "200ms" if setting is DEBOUNCE_AFTER else None


def _scope(study: PlanStudy) -> ScopeStudy:
    assert study.scope is not None
    return study.scope


def _labelled(found: InjectionCandidate, value: str | None) -> Mapping[str, object]:
    return {
        "apiVersion": API_VERSIONS.get(found.kind, "apps/v1"),
        "kind": found.kind,
        "metadata": {"name": found.workload, "namespace": found.namespace},
        **_template(found, value),
    }


def _template(found: InjectionCandidate, value: str | None) -> dict[str, object]:
    """The pod template's labels, from the object's root; null takes one away."""
    block: object = {"metadata": {"labels": {_INJECT: value}}}
    for key in reversed(POD_TEMPLATES[found.kind]):
        block = {key: block}
    assert isinstance(block, dict)
    return block
