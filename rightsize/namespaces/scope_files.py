"""What the mesh may forget, as files to apply."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rightsize.border import command, path_part, printable, promql_pattern, promql_string
from rightsize.files.shell import change_script
from rightsize.files.yaml_text import to_yaml
from rightsize.namespaces.injection import InjectionCandidate
from rightsize.namespaces.manifests import (
    destination_rule,
    destination_rule_comment,
    discovery_values,
    sidecar,
    sidecar_comment,
)
from rightsize.namespaces.study import ScopeStudy

_OFF, _UNSET = '"false"', "null"


def scope_files(study: ScopeStudy, *, istio_version: str | None) -> Mapping[str, str]:
    """File name to text: a phase of its own each, so that one can be taken without the others.

    Sidecars of namespaces that are not yet seen well enough stand in a folder of their own, so that
    a whole folder can be applied.
    """
    found = study.discovery
    files = {
        "1-label-namespaces.sh": change_script(
            found.changes,
            "Run before the selectors: a namespace without the label loses discovery.",
        ),
        "2-discovery-selectors-values.yaml": to_yaml(
            [discovery_values(found)],
            comment="\n".join(
                ["istiod chart. Only after 1-label-namespaces.sh.", *found.warnings,
                 f"Way back: {found.way_back}"]
            ),
        ),
    }  # fmt: skip
    for scope in study.egress:
        folder = "3-sidecars" if scope.confidence.enough else "3-sidecars-not-yet"
        name = f"{folder}/{path_part(scope.namespace)}.yaml"
        notes = [f"Note: {note}." for note in study.notes]
        comment = "\n".join([sidecar_comment(scope), *notes])
        files[name] = to_yaml([sidecar(scope, istio_version)], comment=comment)
    for rule in study.rules.rules:
        name = f"4-destination-rules/{path_part(f'{rule.namespace}-{rule.name}')}.yaml"
        files[name] = to_yaml(
            [destination_rule(rule, istio_version)], comment=destination_rule_comment(rule)
        )
    if study.injection:
        files["5-idle-sidecars.md"] = "\n".join(_idle_runbook(study.injection)) + "\n"
    return files


def _idle_runbook(candidates: Sequence[InjectionCandidate]) -> list[str]:
    """One step for each workload: what to ask, to do, to check, and the way back."""
    lines = [
        "# Sidecars with nothing to do",
        "",
        "Ask the owner of each first: UDP and excluded ports are not seen in metrics, and under "
        "STRICT mutual TLS a workload without a sidecar cannot call the mesh.",
    ]
    for number, c in enumerate(candidates, start=1):
        target = ("kubectl", "patch", c.kind.lower(), c.workload, "-n", c.namespace, "-p")
        pods = f'namespace={promql_string(c.namespace)},pod=~"{promql_pattern(c.workload)}-.*"'
        lines += [
            "",
            f"{number}. {printable(c.namespace)}/{printable(c.workload)}: {c.pods} pods, no mesh traffic in {c.days} days",
            "",
            "   ```",
            f"   {command(*target, _inject(_OFF))}",
            "   ```",
            "",
            f'   Check: `sum(kube_pod_status_ready{{{pods},condition="true"}})` is {c.pods} again',
            "",
            f"   Way back: `{command(*target, _inject(_UNSET))}` (or the value it had)",
        ]
    return lines


def _inject(value: str) -> str:
    """Patch of the pod template's label; what was there before is not known, so null removes it."""
    labels = f'{{"sidecar.istio.io/inject":{value}}}'
    return f'{{"spec":{{"template":{{"metadata":{{"labels":{labels}}}}}}}}}'
