"""Who may read the Secrets with the mesh's certificate authority, by RBAC.

istiod's CA stands in Secret `cacerts` or `istio-ca-secret` of its namespace: who reads it can sign an
identity of any workload. Sources: Kubernetes, "Using RBAC Authorization" (aggregation, wildcards,
default roles); Istio `security/pkg/pki/ca`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from rightsize.audit.model import KubeObject, Severity, Sources
from rightsize.audit.registry import Hit, absent, at, rule
from rightsize.audit.tree import Node

CA_SECRETS = frozenset({"cacerts", "istio-ca-secret"})
ROOT = "istio-system"
_READING = frozenset({"get", "list", "watch", "*"})
_BUILT_IN = {"cluster-admin": True, "admin": True, "edit": True, "view": False}
"""Default ClusterRoles, and whether they read Secrets; a cluster's own copy outranks this."""
_EVERYBODY = frozenset({"system:authenticated", "system:unauthenticated", "system:serviceaccounts"})
_ISTIODS = ("istiod", "istio-reader")
_COMPONENTS = ("system:", "eks:")
_FIX = (
    "# a Role in its own namespace, or resourceNames without cacerts and istio-ca-secret; a CA outside of "
    "the cluster (istio-csr) leaves no key in a Secret"
)
K = TypeVar("K")
_Key = tuple[str, str | None, str]
"""Kind, namespace (None for a ClusterRole) and name."""
_SEVERAL = 50
"""Roles of one name that are looked at: copies of a role in several folders."""


@dataclass(frozen=True, slots=True)
class _Roles:
    """Roles by kind, namespace and name; ClusterRoles by label, for aggregation."""

    named: Mapping[_Key, tuple[KubeObject, ...]]
    labelled: Mapping[str, tuple[KubeObject, ...]]
    """ClusterRoles by each of their labels' names."""

    @classmethod
    def of(cls, sources: Sources) -> _Roles:
        named: dict[_Key, list[KubeObject]] = {}
        labelled: dict[str, list[KubeObject]] = {}
        for obj in sources.of_kind("Role", "ClusterRole"):
            cluster = obj.kind == "ClusterRole"
            named.setdefault((obj.kind, None if cluster else obj.namespace, obj.name), []).append(
                obj
            )
            labels = obj.root.get("metadata", "labels")
            for name in labels.names() if cluster and labels is not None else ():
                labelled.setdefault(name, []).append(obj)
        return cls(_frozen(named), _frozen(labelled))

    def of_binding(self, key: _Key, binding: KubeObject) -> KubeObject | None:
        """The role of this name in the binding's own file, else its folder, else anywhere."""
        file = binding.root.place.file
        found = self.named.get(key, ())[:_SEVERAL]
        near = [one for one in found if one.root.place.file == file]
        near += [one for one in found if Path(one.root.place.file).parent == Path(file).parent]
        return next(iter((*near, *found)), None)


def _frozen(found: Mapping[K, list[KubeObject]]) -> Mapping[K, tuple[KubeObject, ...]]:
    return {key: tuple(objects) for key, objects in found.items()}


@rule("secrets-readable")
def readable(sources: Sources) -> Iterator[Hit]:
    roles = _Roles.of(sources)
    known: dict[tuple[_Key, int], str | bool | None] = {}
    roots = {
        obj.namespace or ROOT
        for obj in sources.of_kind("Deployment")
        if obj.name == "istiod" or obj.name.startswith("istiod-")
    } or {ROOT}
    for binding in sources.of_kind("RoleBinding", "ClusterRoleBinding"):
        everywhere = binding.kind == "ClusterRoleBinding"
        reference = binding.root.get("roleRef")
        if reference is None or not (everywhere or binding.namespace in roots):
            continue
        kind = reference.text_of("kind") or "ClusterRole"
        name = reference.text_of("name") or ""
        subjects = [
            one for one in binding.root.children("subjects") if _is_foreign(one, binding, roots)
        ]
        if not subjects or name.startswith("system:controller:"):
            continue
        key = (kind, binding.namespace if kind == "Role" else None, name)
        role = roles.of_binding(key, binding)
        if (key, id(role)) not in known:
            known[key, id(role)] = _reads(key, role, roles)
        way = known[key, id(role)]
        if way is None:
            yield absent(reference, f"{kind} {name}, which says whether Secrets may be read", _FIX)
        elif isinstance(way, str):
            for subject in subjects:
                yield _hit(subject, binding, f"{kind} {name}", way, sorted(roots))


def _hit(subject: Node, binding: KubeObject, role: str, way: str, roots: list[str]) -> Hit:
    severity: Severity = "warning"
    if subject.text_of("kind") == "Group" and subject.text_of("name") in _EVERYBODY:
        severity = "error"
    where = binding.namespace if binding.kind == "RoleBinding" else ", ".join(roots)
    text = (
        f"{_title(subject, binding)} may read Secrets of {where} ({role}, {way}; {binding.title})"
    )
    return at(subject, text, _FIX, severity=severity)


def _title(subject: Node, binding: KubeObject) -> str:
    kind, name = subject.text_of("kind") or "", subject.text_of("name") or ""
    if kind == "ServiceAccount":
        return f"ServiceAccount {subject.text_of('namespace') or binding.namespace}/{name}"
    return f"{kind} {name}"


def _is_foreign(subject: Node, binding: KubeObject, roots: set[str]) -> bool:
    """Whether an account is neither istiod's nor a component of Kubernetes or EKS."""
    kind, name = subject.text_of("kind"), subject.text_of("name") or ""
    if kind == "ServiceAccount":
        namespace = subject.text_of("namespace") or binding.namespace
        return not (namespace in roots and name.startswith(_ISTIODS))
    people = name in _EVERYBODY or name.startswith(("system:serviceaccount", "system:anonymous"))
    return people or not name.startswith(_COMPONENTS)


def _reads(key: _Key, role: KubeObject | None, roles: _Roles) -> str | bool | None:
    """How a role reads the CA's Secrets, in words; False where it does not, None if unknown."""
    if role is None:
        built_in = _BUILT_IN.get(key[2]) if key[0] == "ClusterRole" else None
        return "a default role" if built_in else built_in
    for one in _with_aggregated(role, roles):
        for number, rules in enumerate(one.root.children("rules")):
            way = _way(rules)
            if way is not None:
                through = "" if one is role else f" by way of ClusterRole {one.name}"
                return f"rule {number + 1}: {way}{through}"
    return False


def _way(rules: Node) -> str | None:
    groups, resources, verbs, names = (
        {node.text or "" for node in rules.children(part)}
        for part in ("apiGroups", "resources", "verbs", "resourceNames")
    )
    if not groups & {"", "*"} or not resources & {"secrets", "*"} or not verbs & _READING:
        return None
    if names and not names & CA_SECRETS:
        return None
    what = "all resources" if "*" in resources else "secrets"
    return f"{', '.join(sorted(verbs & _READING))} of {what}"


def _with_aggregated(role: KubeObject, roles: _Roles) -> Iterator[KubeObject]:
    """A role and all that it aggregates, each once."""
    seen: set[int] = set()
    waiting = [role]
    while waiting:
        one = waiting.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        selectors = one.root.children("aggregationRule", "clusterRoleSelectors")
        waiting += [found for selector in selectors for found in _selected(selector, roles)]


def _selected(selector: Node, roles: _Roles) -> Iterator[KubeObject]:
    """ClusterRoles that a label selector matches; one of its labels finds the candidates."""
    pairs = selector.get("matchLabels")
    wanted = {k: v.text or "" for k, v in ((pairs.entries if pairs else None) or {}).items()}
    expressions = selector.children("matchExpressions")
    keys = [*wanted, *(one.text_of("key") or "" for one in expressions if _needs_label(one))]
    for role in roles.labelled.get(keys[0], ()) if keys else ():
        found = role.root.get("metadata", "labels")
        labels = {k: v.text or "" for k, v in ((found.entries if found else None) or {}).items()}
        if all(labels.get(k) == v for k, v in wanted.items()) and all(
            _matches(one, labels) for one in expressions
        ):
            yield role


def _needs_label(expression: Node) -> bool:
    return expression.text_of("operator") in ("In", "Exists")


def _matches(expression: Node, labels: Mapping[str, str]) -> bool:
    key, operator = expression.text_of("key") or "", expression.text_of("operator")
    values = {node.text or "" for node in expression.children("values")}
    there = key in labels
    return {
        "In": there and labels.get(key) in values,
        "NotIn": not there or labels.get(key) not in values,
        "Exists": there,
        "DoesNotExist": not there,
    }.get(operator or "", False)
