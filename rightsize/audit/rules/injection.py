"""Injection that is on for everything."""

from __future__ import annotations

import re
from collections.abc import Iterator

from rightsize.audit.model import Sources
from rightsize.audit.registry import Hit, at, rule

_SYSTEM = frozenset({"kube-system", "kube-node-lease", "kube-public", "istio-system"})
_ALL = re.compile(r"\blabel\s+(ns|namespaces?)\s+(.*\s)?--all\b")
_LISTS_ONE = re.compile(r"\bget\s+(ns|namespaces?)\s+(?!-)\S")
"""A namespace by its name, not all of them."""
_LIST = re.compile(r"\bget\s+(ns|namespaces?)\b")
_LABEL_EACH = re.compile(r"\bkubectl\s(.*\s)?label\s.*(\$|\{\}|xargs)|xargs\s.*\blabel\b")
_LOOP_LINES = 5
_LABEL = re.compile(r"\b(istio-injection=enabled|istio\.io/rev=\S+)")
_WHY = (
    "Each pod gets a proxy that requests 100m of CPU and 128Mi by default, jobs and system pods "
    "that never call the mesh too."
)


@rule(
    "injection-everywhere",
    severity="warning",
    title="injection on for everything",
    why=_WHY,
)
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


@rule(
    "injection-system-namespace",
    severity="error",
    title="injection on in a system namespace",
    why="Pods that the cluster and the mesh need to start would wait for istiod, which may itself "
    "wait for them.",
)
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
