"""Traffic in the clear, and calls that nothing denies."""

from __future__ import annotations

import re
from collections.abc import Iterator

from rightsize.audit.coherent import api_version
from rightsize.audit.model import KubeObject, Sources
from rightsize.audit.registry import Hit, absent, at, rule

STRICT = """apiVersion: {}
kind: PeerAuthentication
metadata: {{name: default, namespace: istio-system}}
spec:
  mtls: {{mode: STRICT}}"""
DENY = """apiVersion: {}
kind: AuthorizationPolicy
metadata: {{name: default-deny, namespace: istio-system}}
spec: {{}}"""
_ISTIO_KINDS = ("AuthorizationPolicy", "PeerAuthentication", "VirtualService", "DestinationRule")


@rule("mtls-permissive")
def permissive(sources: Sources) -> Iterator[Hit]:
    for obj in sources.of_kind("PeerAuthentication"):
        ports = obj.root.get("spec", "portLevelMtls")
        nodes = [obj.root.get("spec", "mtls", "mode")]
        nodes += [port.get("mode") for port in ((ports.entries if ports else None) or {}).values()]
        for node in nodes:
            if node is not None and node.text in ("PERMISSIVE", "DISABLE"):
                yield at(node, f"{obj.title}: mode {node.text}", "mode: STRICT")
    for command in sources.commands:
        names = re.search(r"\bpeerauthentications?\b|\bpa\b", command.text, re.IGNORECASE)
        mode = re.search(r"\b(PERMISSIVE|DISABLE)\b", command.text)
        if names and mode and any(w[:1] == ("patch",) for w in command.stages("kubectl")):
            fix = command.text.replace(mode[1], "STRICT")
            yield at(command.place_of(mode[1]), command.text, fix)
    for mesh in sources.mesh_configs:
        auto = mesh.get("enableAutoMtls")
        if auto is not None and auto.truth is False:
            yield at(auto, "enableAutoMtls is false", "enableAutoMtls: true")


@rule("mtls-client-disabled")
def client_disabled(sources: Sources) -> Iterator[Hit]:
    for obj in sources.of_kind("DestinationRule"):
        host = obj.root.text_of("spec", "host") or ""
        node = obj.root.get("spec", "trafficPolicy", "tls", "mode")
        in_mesh = host.endswith((".local", ".svc")) or "." not in host
        if node is not None and node.text == "DISABLE" and in_mesh:
            yield at(node, f"{obj.title}: {host} is called in plain text", "mode: ISTIO_MUTUAL")


@rule("mtls-not-strict")
def not_strict(sources: Sources) -> Iterator[Hit]:
    if any(sources.of_kind("PeerAuthentication")):
        return
    fix = STRICT.format(api_version("security", sources.version))
    for place in _needed_at(sources):
        yield absent(place.root, "a PeerAuthentication with mode STRICT", fix)


@rule("no-default-deny")
def no_default_deny(sources: Sources) -> Iterator[Hit]:
    policies = list(sources.of_kind("AuthorizationPolicy"))
    if any(_denies_all(policy) for policy in policies):
        return
    fix = DENY.format(api_version("security", sources.version))
    for place in _needed_at(sources):
        yield absent(place.root, "an AuthorizationPolicy that denies by default", fix)


@rule("authorization-allows-all")
def allows_all(sources: Sources) -> Iterator[Hit]:
    for obj in sources.of_kind("AuthorizationPolicy"):
        action = obj.root.text_of("spec", "action") or "ALLOW"
        for entry in obj.root.children("spec", "rules"):
            if action == "ALLOW" and entry.entries is not None and not entry.entries:
                yield at(entry, f"{obj.title} allows every request", "# list from, to or when")


@rule("authorization-denies-nothing")
def denies_nothing(sources: Sources) -> Iterator[Hit]:
    for obj in sources.of_kind("AuthorizationPolicy"):
        action = obj.root.get("spec", "action")
        rules = obj.root.get("spec", "rules")
        if action is not None and action.text == "DENY" and (rules is None or rules.is_empty):
            yield at(action, f"{obj.title} has no rules", "spec: {}  # denies by default")


def _denies_all(policy: KubeObject) -> bool:
    """No rules and ALLOW, for all workloads of its namespace; or DENY for every request."""
    spec = policy.root.get("spec")
    if spec is None or spec.is_empty:
        return True
    if any(spec.get(key) is not None for key in ("selector", "targetRef", "targetRefs")):
        return False
    rules = spec.get("rules")
    action = spec.text_of("action") or "ALLOW"
    if rules is None or rules.is_empty:
        return action == "ALLOW"
    return action == "DENY" and any(
        r.entries is not None and not r.entries for r in rules.items or ()
    )


def _needed_at(sources: Sources) -> list[KubeObject]:
    """Where the absence is reported: once, at the first object that is the mesh's."""
    mesh = [obj for obj in sources.objects if obj.kind in _ISTIO_KINDS]
    workloads = [obj for obj in sources.objects if obj.pod_template is not None]
    return (mesh or sources.operators or workloads)[:1]
