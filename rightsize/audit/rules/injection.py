"""Injection: where it is on for everything, where it is refused or ignored, and what it keeps alive."""

from __future__ import annotations

import re
from collections.abc import Iterator

from rightsize.audit.model import Severity, Sources
from rightsize.audit.registry import Hit, at, rule
from rightsize.audit.rules.istiod_environment import variables_of
from rightsize.audit.tree import Node
from rightsize.files.known import Version

_SYSTEM = frozenset({"kube-system", "kube-node-lease", "kube-public", "istio-system"})
_ALL = re.compile(r"\blabel\s+(ns|namespaces?)\s+(.*\s)?--all\b")
_LISTS_ONE = re.compile(r"\bget\s+(ns|namespaces?)\s+(?!-)\S")
"""A namespace by its name, not all of them."""
_LIST = re.compile(r"\bget\s+(ns|namespaces?)\b")
_INJECT = "sidecar.istio.io/inject"
_NO = frozenset({"disable", "false", "no", "off", "n", "0"})
_NATIVE = "ENABLE_NATIVE_SIDECARS"
_LABEL_EACH = re.compile(r"\bkubectl\s(.*\s)?label\s.*(\$|\{\}|xargs)|xargs\s.*\blabel\b")
_LOOP_LINES = 5
_LABEL = re.compile(r"\b(istio-injection=enabled|istio\.io/rev=\S+)")


@rule("injection-everywhere")
def everywhere(sources: Sources) -> Iterator[Hit]:
    for values in sources.values_of("istiod", "operator"):
        node = values.root.get("sidecarInjectorWebhook", "enableNamespacesByDefault")
        if node is not None and node.truth is True:
            fix = "enableNamespacesByDefault: false  # and istio-injection=enabled where needed"
            yield at(node, f"{node.place.path} is true", fix)
    for command in sources.commands:
        if _ALL.search(command.text) and _LABEL.search(command.text):
            fix = "kubectl label namespace NAMESPACE istio-injection=enabled"
            yield at(command.place_of("--all"), command.text, fix)
    listed: tuple[str, int] | None = None
    for command in sources.commands:
        here = command.place
        if _LIST.search(command.text) and not _LISTS_ONE.search(command.text):
            listed = (here.file, here.line)
        near = (
            listed is not None and listed[0] == here.file and here.line - listed[1] <= _LOOP_LINES
        )
        if near and _LABEL_EACH.search(command.text) and _LABEL.search(command.text):
            fix = "kubectl label namespace NAMESPACE istio-injection=enabled"
            yield at(command.place_of("istio"), f"in a loop: {command.text}", fix)


_INSTALLS_CNI = re.compile(r"helm\s.*\bistio/cni\b|cni\.enabled=true|istio-cni")
_REFUSE_NET_ADMIN = ("baseline", "restricted")


@rule("injection-refused-by-pod-security")
def refused_by_pod_security(sources: Sources) -> Iterator[Hit]:
    if _runs_cni(sources):
        return
    for obj in sources.of_kind("Namespace"):
        labels = obj.root.get("metadata", "labels")
        level = None if labels is None else labels.get("pod-security.kubernetes.io/enforce")
        injected = labels is not None and (
            labels.text_of("istio-injection") == "enabled" or labels.get("istio.io/rev") is not None
        )
        if injected and level is not None and level.text in _REFUSE_NET_ADMIN:
            fix = "pilot:\n  cni:\n    enabled: true  # and the istio-cni chart"
            yield at(level, f"{obj.title} enforces {level.text} and is injected", fix)


def _runs_cni(sources: Sources) -> bool:
    """Whether anything in the files installs the CNI plugin."""
    return (
        any(_has_cni(values.root) for values in sources.values_of("istiod", "operator"))
        or any(sources.values_of("cni"))
        or any(sources.of_kind("IstioCNI"))
        or any(obj.name.startswith("istio-cni") for obj in sources.of_kind("DaemonSet"))
        or any(_is_on(one.root.get("spec", "components", "cni")) for one in sources.operators)
        or any(_INSTALLS_CNI.search(command.text) for command in sources.commands)
    )


def _is_on(component: Node | None) -> bool:
    enabled = None if component is None else component.get("enabled")
    return enabled is not None and enabled.truth is True


def _has_cni(values: Node) -> bool:
    """Whether istiod's values say that the CNI plugin does what istio-init would."""
    for keys in (("pilot", "cni", "enabled"), ("cni", "enabled"), ("istio_cni", "enabled")):
        node = values.get(*keys)
        if node is not None and node.truth is True:
            return True
    return False


@rule("injection-system-namespace")
def system_namespace(sources: Sources) -> Iterator[Hit]:
    for obj in sources.of_kind("Namespace"):
        label = obj.root.get("metadata", "labels", "istio-injection")
        if obj.name in _SYSTEM and label is not None and label.text == "enabled":
            yield at(label, f"{obj.title} is labelled", "istio-injection: disabled")
    for command in sources.commands:
        for words in command.stages("kubectl"):
            named = _SYSTEM.intersection(words)
            if words[:1] == ("label",) and named and _LABEL.search(command.text):
                namespace = sorted(named)[0]
                fix = f"kubectl label namespace {namespace} istio-injection-"
                yield at(command.place_of(namespace), command.text, fix)


@rule("injection-annotation")
def annotation_for_label(sources: Sources) -> Iterator[Hit]:
    for obj in sources.of_kind("Namespace"):
        labels = obj.root.get("metadata", "labels")
        for name in ("istio-injection", "istio.io/rev", "istio.io/dataplane-mode"):
            node = obj.root.get("metadata", "annotations", name)
            if node is not None and (labels is None or labels.get(name) is None):
                fix = f"labels:\n  {name}: {node.text}"
                yield at(node, f"{obj.title} has {name} as an annotation", fix, severity="error")
    injecting = _injecting(sources)
    for obj in sources.objects:
        metadata = None if obj.pod_template is None else obj.pod_template.get("metadata")
        node = None if metadata is None else metadata.get("annotations", _INJECT)
        if metadata is None or node is None or node.truth is not True:
            continue
        if metadata.get("labels", _INJECT) is None and obj.namespace not in injecting:
            fix = f'labels:\n  {_INJECT}: "true"'
            evidence = f"{obj.title} asks for a proxy by annotation"
            yield at(node, evidence, fix, severity="info")


@rule("injects-nothing")
def injects_nothing(sources: Sources) -> Iterator[Hit]:
    for obj in sources.of_kind("Namespace"):
        label = obj.root.get("metadata", "labels", "istio-injection")
        # Empty on purpose, or filled by a template: nothing is known.
        if label is None or not label.text or "{" in label.text or "$" in label.text:
            continue
        if label.text not in ("enabled", "disabled"):
            meant = "disabled" if label.text.lower() in _NO else "enabled"
            fix = f"istio-injection: {meant}"
            yield at(label, f"{obj.title} has istio-injection={label.text}", fix)
    for obj in sources.objects:
        template = obj.pod_template
        label = None if template is None else template.get("metadata", "labels", _INJECT)
        host = None if template is None else template.get("spec", "hostNetwork")
        if label is not None and label.truth is True and host is not None and host.truth is True:
            fix = f'labels:\n  {_INJECT}: "false"  # or without hostNetwork'
            yield at(label, f"{obj.title} asks for a proxy on the host's network", fix)


def _injecting(sources: Sources) -> set[str]:
    """Namespaces of these files that give every pod a sidecar."""
    return {
        obj.name
        for obj in sources.of_kind("Namespace")
        if (labels := obj.root.get("metadata", "labels")) is not None
        and (
            labels.text_of("istio-injection") == "enabled"
            or (labels.get("istio.io/rev") is not None and labels.get("istio-injection") is None)
        )
    }


@rule("injection-labels-conflict")
def injection_labels_conflict(sources: Sources) -> Iterator[Hit]:
    for obj in sources.of_kind("Namespace"):
        labels = obj.root.get("metadata", "labels")
        injection = None if labels is None else labels.get("istio-injection")
        if labels is None or injection is None:
            continue
        revision, mode = labels.get("istio.io/rev"), labels.get("istio.io/dataplane-mode")
        if revision is not None:
            fix = "# delete istio-injection and keep istio.io/rev, or the other way round"
            yield at(revision, f"{obj.title} has both labels", fix)
        if mode is not None and mode.text == "ambient" and injection.text == "enabled":
            fix = "# delete istio-injection, or istio.io/dataplane-mode"
            yield at(mode, f"{obj.title} asks for sidecars and for ambient mode", fix)


_AUTOMATIC: Version = (1, 27)
"""First release with native sidecars where every node's kubelet is 1.33 or later."""


@rule("job-never-ends")
def job_never_ends(sources: Sources) -> Iterator[Hit]:
    if any(v.name == _NATIVE and v.value.lower() == "true" for v in variables_of(sources)):
        return
    injecting = _injecting(sources)
    automatic = sources.version is not None and sources.version >= _AUTOMATIC
    for obj in sources.of_kind("Job", "CronJob"):
        template = obj.pod_template
        if template is None or any("quitquitquit" in (n.text or "") for n in template.walk()):
            continue
        asked = [template.get("metadata", place, _INJECT) for place in ("labels", "annotations")]
        written = next((node for node in asked if node is not None), None)
        native = template.text_of("metadata", "annotations", "sidecar.istio.io/nativeSidecar")
        injected = obj.namespace in injecting if written is None else written.truth is True
        if not injected or native == "true":
            continue
        fix = (
            "metadata:\n  annotations:\n    sidecar.istio.io/nativeSidecar: "
            '"true"  # from 1.24, else label inject: "false"'
        )
        said = "asks for a sidecar" if written is not None else "is in a namespace that injects"
        severity: Severity | None = "info" if automatic else None
        yield at(written or template, f"{obj.title} {said}", fix, severity=severity)
