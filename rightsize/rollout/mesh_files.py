"""Files and commands of the phases about the shape of the mesh, and of the first one."""

from __future__ import annotations

import json
from collections.abc import Mapping

from rightsize.audit.measured import MEASURED_RULES
from rightsize.audit.model import Finding
from rightsize.border import command, path_part, word
from rightsize.files.istioctl import istioctl
from rightsize.files.shell import plain_script
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
from rightsize.rollout.steps import (
    PhaseFiles,
    Step,
    helm_back,
    helm_upgrade,
    patch,
    resource_of,
)
from rightsize.rollout.study import PlanStudy

_ROOT = "istio-system"
_MEASURED = {name for name, _, _ in MEASURED_RULES}
_INJECT = "sidecar.istio.io/inject"
_SELECTORS = "2-discovery-selectors-values.yaml"
_LABELS = "1-label-namespaces.sh"


def baseline_files(folder: str, rules: str, operator_rules: str) -> PhaseFiles:
    """Copies for the ways back, and the rules."""
    save = plain_script(
        [
            "mkdir -p before",
            "helm list -A -o yaml > before/releases.yaml",
            f"helm get values istiod -n {_ROOT} -o yaml > before/istiod-values.yaml",
            "kubectl get namespaces -o yaml > before/namespaces.yaml",
            "kubectl get nodes -o wide > before/nodes.txt",
            "kubectl get hpa -A -o yaml > before/hpas.yaml",
            "kubectl get deployments,statefulsets,daemonsets -A -o yaml > before/workloads.yaml",
            EXPORT.replace("istio.yaml", "before/istio.yaml"),
        ],
        "What is in force, into the folder before/. Reads only.",
    )
    steps = (
        Step("Keep what is in force.", (f"sh {folder}/save-state.sh",)),
        Step(
            "Load the checks. With the Prometheus operator (add the labels its ruleSelector asks "
            "for):",
            (f"kubectl apply -n monitoring -f {folder}/prometheus-rule.yaml",),
        ),
        Step(
            f"Without it: put {rules} where rule_files finds it, then",
            (f"promtool check rules {rules}", "curl -X POST http://localhost:9090/-/reload"),
        ),
        Step(
            "A check holds where rightsize:plan_check is 1 and fails where it is 0. Where it has no "
            "series, its metrics are missing: that is no pass."
        ),
    )
    back = (
        Step(
            "Take the rules out again.",
            (f"kubectl delete -n monitoring -f {folder}/prometheus-rule.yaml",),
        ),
    )
    return PhaseFiles(steps, back, {"save-state.sh": save, "prometheus-rule.yaml": operator_rules})


def findings_files(study: PlanStudy) -> PhaseFiles:
    """What each finding asks for; none of it is a file of this plan."""
    steps = [
        Step(f"{_where(f)}{f.rule}: {f.evidence}.", tuple(f.fix.splitlines()), "text")
        for f in study.findings
    ]
    return PhaseFiles(tuple(steps), (Step("As each finding says."),))


def propagation_files(study: PlanStudy, folder: str) -> PhaseFiles:
    """One setting at a time, as a values file each."""
    assert study.istiod is not None
    assert study.istiod.propagation.finding is not None
    version = study.manifest.istio_version
    files: dict[str, str] = {}
    steps = []
    for number, change in enumerate(study.istiod.propagation.finding.changes, start=1):
        value = _value(change.setting, version, study.istiod.cpu.limit)
        if change.setting is None or value is None:
            steps.append(Step(f"{change.what[0].upper()}{change.what[1:]}."))
            continue
        name = f"{number}-{change.setting.name.lower().replace('_', '-')}-values.yaml"
        # `env` must be a map: the chart does not render a list.
        files[name] = to_yaml(
            [{"pilot": {"env": {change.setting.name: value}}}], comment=f"{change.what}."
        )
        command = helm_upgrade(
            "istiod", "istiod", _ROOT, [f"{folder}/{name}"], istio_version=version, reuse=True
        )
        steps.append(Step(f"{change.what[0].upper()}{change.what[1:]}.", (command,)))
    back = (Step("Each change by itself.", (helm_back("istiod", _ROOT),)),)
    return PhaseFiles(tuple(steps), back, files)


def discovery_files(study: PlanStudy, folder: str) -> PhaseFiles:
    """Labels first, selectors after."""
    scope = _scope(study)
    made = scope_files(scope, istio_version=study.manifest.istio_version)
    files = {name: made[name] for name in (_LABELS, _SELECTORS)}
    steps = (
        Step("Label every namespace that istiod is to watch.", (f"sh {folder}/{_LABELS}",)),
        Step(
            f"All {len(scope.discovery.selected)} must be listed:",
            (
                f"kubectl get namespaces -l {scope.discovery.label}={scope.discovery.value} "
                "--no-headers | wc -l",
            ),
        ),
        Step(
            "Only then the selectors.",
            (
                helm_upgrade(
                    "istiod", "istiod", _ROOT, [f"{folder}/{_SELECTORS}"],
                    istio_version=study.manifest.istio_version, reuse=True,
                ),
                f"kubectl rollout status deployment/istiod -n {_ROOT} --timeout=10m",
            ),
        ),
    )  # fmt: skip
    back = (Step("Selectors out again; the labels may stay.", (helm_back("istiod", _ROOT),)),)
    return PhaseFiles(steps, back, files)


def sidecar_files(study: PlanStudy, folder: str) -> PhaseFiles:
    """One namespace after the other."""
    scope = _scope(study)
    files: dict[str, str] = {}
    steps = [
        Step(
            "No Sidecar without a workload selector may be there yet in any of these namespaces.",
            ("kubectl get sidecars.networking.istio.io -A",),
        )
    ]
    if not study.configured:
        steps.insert(
            0,
            Step(
                "Make the plan again with Istio's own objects, so that scopes keep the routes of "
                "VirtualServices; go on with the new one.",
                ("rightsize plan --istio-objects before/istio.yaml -o plan-with-routes",),
            ),
        )
    back = []
    for found in ready_scopes(scope):
        name = f"{path_part(found.namespace)}.yaml"
        files[name] = to_yaml(
            [sidecar(found, study.manifest.istio_version)], comment=sidecar_comment(found)
        )
        steps.append(
            Step(
                f"{found.namespace}: {len(found.hosts)} hosts; {found.confidence.text}.",
                (
                    istioctl(None, "analyze", f"{folder}/{name}", flags={"-n": found.namespace}),
                    command("kubectl", "apply", "-f", f"{folder}/{name}"),
                ),
            )
        )
        back.append(
            Step(
                f"{found.namespace}:",
                (
                    command("kubectl", "delete", "sidecars.networking.istio.io", "default")
                    + f" -n {word(found.namespace)}",
                ),
            )
        )
    return PhaseFiles(tuple(steps), tuple(back), files)


def rule_files(study: PlanStudy, folder: str) -> PhaseFiles:
    """A DestinationRule for each service."""
    scope = _scope(study)
    made = scope_files(scope, istio_version=study.manifest.istio_version)
    files = {
        name.rsplit("/", 1)[-1]: text for name, text in made.items() if "destination-rules" in name
    }
    steps = [
        Step(
            "A host that is listed here already has a rule: add the settings to that one instead.",
            ("kubectl get destinationrules.networking.istio.io -A",),
        )
    ]
    back = []
    for rule in scope.rules.rules:
        name = f"{path_part(f'{rule.namespace}-{rule.name}')}.yaml"
        steps.append(
            Step(f"{rule.host}:", (command("kubectl", "apply", "-f", f"{folder}/{name}"),))
        )
        back.append(
            Step(
                f"{rule.host}:",
                (
                    command("kubectl", "delete", "destinationrules.networking.istio.io", rule.name)
                    + f" -n {word(rule.namespace)}",
                ),
            )
        )
    return PhaseFiles(tuple(steps), tuple(back), files)


def injection_files(study: PlanStudy, folder: str) -> PhaseFiles:
    """The label of each pod template, and its removal."""
    files: dict[str, str] = {}
    steps, back = [], []
    for found in _scope(study).injection:
        who = f"{found.namespace}/{found.workload}"
        if found.kind not in POD_TEMPLATES:
            steps.append(Step(f"{who} ({found.kind}): put {found.label} on the pod by hand."))
            continue
        name = f"{path_part(who.replace('/', '-', 1))}.yaml"
        files[name] = to_yaml([_labelled(found, "false")], comment=f"{who}: no sidecar.")
        steps.append(
            Step(
                f"{who}, once its owner agrees:",
                patch(found.kind, found.namespace, found.workload, f"{folder}/{name}").commands,
            )
        )
        null = json.dumps(_template(found, None))
        words = ("kubectl", "patch", resource_of(found.kind), found.workload)
        back.append(
            Step(
                f"{who}:",
                (command(*words, "-n", found.namespace, "--type", "merge", "-p", null),),
            )
        )
    return PhaseFiles(tuple(steps), tuple(back), files)


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
    steps = (
        Step(
            f"Follow {folder}/3-migration.md from top to bottom; its commands run in that folder.",
            (f"cd {folder}",),
        ),
    )
    back = (Step("Each step of the migration has its own; the old istiod stays until the end."),)
    return PhaseFiles(steps, back, files)


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
