"""Every resource that is asked for, why, and the ClusterRole that allows exactly that."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Use = Literal["snapshot", "configuration", "audit"]
"""For `collect`; for `scope` and `shards`; for `audit`."""


Names = tuple[tuple[str, str], ...]
"""Namespace and name of objects that are read one by one."""


@dataclass(frozen=True)
class Resource:
    """One kind of object; `versions` of its API from the newest, the first that is served counts."""

    group: str
    plural: str
    kind: str
    costs: str
    """What its absence costs."""
    uses: frozenset[Use]
    versions: tuple[str, ...] = ("v1",)
    namespaced: bool = True
    names: Names = ()
    """Only these objects, namespace and name, with `get`; empty for all, with `list`."""
    per_revision: Names = ()
    """Further ones, once for each revision of Istio beside the default, with its name behind theirs."""

    def path(self, version: str, namespace: str | None = None, name: str = "") -> str:
        """The path below the server's address."""
        start = f"/apis/{self.group}/{version}" if self.group else f"/api/{version}"
        place = f"/namespaces/{namespace}" if namespace and self.namespaced else ""
        return f"{start}{place}/{self.plural}" + (f"/{name}" if name else "")

    @property
    def custom(self) -> bool:
        """Whether a CustomResourceDefinition makes it."""
        return self.group not in _BUILT_IN

    @property
    def title(self) -> str:
        return f"{self.plural}.{self.group}" if self.group else self.plural


_TEMPLATES = "labels and scheduling of pods that are gone, and which workload a budget guards"
_ROUTES = "hosts that routes lead to are not kept in view, and routes are not audited"
_POLICIES = "these objects are not audited, and their namespaces may leave discovery"
_SNAPSHOT: frozenset[Use] = frozenset({"snapshot"})
_AUDIT: frozenset[Use] = frozenset({"audit"})
_BOTH: frozenset[Use] = _SNAPSHOT | _AUDIT
_MESH: frozenset[Use] = frozenset({"configuration", "audit"})
_ISTIO = ("v1", "v1beta1", "v1alpha3")
_NETWORKING, _SECURITY = "networking.istio.io", "security.istio.io"
_ROOT = "istio-system"
_REVISED = ("istio", "istio-sidecar-injector")
"""ConfigMaps that each revision of Istio has: the MeshConfig, and what the injector writes."""
_GATEWAY = "gateway.networking.k8s.io"
_RBAC = "rbac.authorization.k8s.io"
_BUILT_IN = frozenset(
    ("", "apps", "batch", "autoscaling", "policy", _RBAC, "admissionregistration.k8s.io")
)
_ACCESS = "who may read the Secrets of the mesh's CA is not audited"

RESOURCES: tuple[Resource, ...] = (
    Resource(
        "", "nodes", "Node",
        "taints are unknown, and instance types are inferred where the metrics do not show them",
        _SNAPSHOT, namespaced=False,
    ),
    Resource(
        "", "namespaces", "Namespace", "which namespaces inject sidecars is unknown", _BOTH,
        namespaced=False,
    ),
    Resource(
        "", "pods", "Pod", "annotations, scheduling and host network of pods are unknown", _SNAPSHOT
    ),
    Resource("apps", "deployments", "Deployment", _TEMPLATES, _BOTH),
    Resource("apps", "statefulsets", "StatefulSet", _TEMPLATES, _BOTH),
    Resource("apps", "daemonsets", "DaemonSet", _TEMPLATES, _BOTH),
    Resource("argoproj.io", "rollouts", "Rollout", _TEMPLATES, _BOTH, ("v1alpha1",)),
    Resource("apps.openshift.io", "deploymentconfigs", "DeploymentConfig", _TEMPLATES, _SNAPSHOT),
    Resource("batch", "cronjobs", "CronJob", _TEMPLATES, _BOTH),
    Resource("batch", "jobs", "Job", "jobs are not audited", _AUDIT),
    Resource(
        "autoscaling", "horizontalpodautoscalers", "HorizontalPodAutoscaler",
        "targets of autoscalers are known only as far as kube-state-metrics shows them", _BOTH,
        ("v2",),
    ),
    Resource(
        "keda.sh", "scaledobjects", "ScaledObject",
        "KEDA's scalers are known only as the HPAs that KEDA makes of them", _BOTH,
        ("v1alpha1",),
    ),
    Resource(
        "autoscaling.k8s.io", "verticalpodautoscalers", "VerticalPodAutoscaler",
        "sizes that a VPA sets itself are recommended against it", _SNAPSHOT,
    ),
    Resource(
        "", "limitranges", "LimitRange",
        "sizes that a namespace does not admit may be recommended", _SNAPSHOT,
    ),
    Resource(
        "", "resourcequotas", "ResourceQuota", "a namespace's quota may be exceeded unnoticed",
        _SNAPSHOT,
    ),
    Resource(
        "policy", "poddisruptionbudgets", "PodDisruptionBudget",
        "which pods may not be moved is known only as far as kube-state-metrics shows it", _BOTH,
    ),
    Resource(
        "", "services", "Service", "ExternalName aliases and load balancers are not seen", _MESH
    ),
    Resource(_NETWORKING, "virtualservices", "VirtualService", _ROUTES, _MESH, _ISTIO),
    Resource(_NETWORKING, "destinationrules", "DestinationRule", _POLICIES, _MESH, _ISTIO),
    Resource(_NETWORKING, "sidecars", "Sidecar", _POLICIES, _MESH, _ISTIO),
    Resource(_NETWORKING, "serviceentries", "ServiceEntry", _POLICIES, _MESH, _ISTIO),
    Resource(_NETWORKING, "workloadentries", "WorkloadEntry", _POLICIES, _MESH, _ISTIO),
    Resource(_NETWORKING, "gateways", "Gateway", _POLICIES, _MESH, _ISTIO),
    Resource(_NETWORKING, "envoyfilters", "EnvoyFilter", _POLICIES, _MESH, ("v1alpha3",)),
    Resource(_NETWORKING, "proxyconfigs", "ProxyConfig", _POLICIES, _MESH, ("v1beta1",)),
    Resource(
        _SECURITY, "authorizationpolicies", "AuthorizationPolicy", _POLICIES, _MESH, _ISTIO[:2]
    ),
    Resource(_SECURITY, "peerauthentications", "PeerAuthentication", _POLICIES, _MESH, _ISTIO[:2]),
    Resource(
        _SECURITY, "requestauthentications", "RequestAuthentication", _POLICIES, _MESH, _ISTIO[:2]
    ),
    Resource(
        "telemetry.istio.io", "telemetries", "Telemetry", _POLICIES, _MESH, ("v1", "v1alpha1")
    ),
    Resource(
        "extensions.istio.io", "wasmplugins", "WasmPlugin", _POLICIES, _MESH, ("v1alpha1",)
    ),
    Resource(_GATEWAY, "gateways", "Gateway", _POLICIES, _MESH, ("v1", "v1beta1")),
    Resource(_GATEWAY, "httproutes", "HTTPRoute", _ROUTES, _MESH, ("v1", "v1beta1")),
    Resource(_GATEWAY, "grpcroutes", "GRPCRoute", _ROUTES, _MESH, ("v1", "v1alpha2")),
    Resource(_GATEWAY, "tcproutes", "TCPRoute", _ROUTES, _MESH, ("v1", "v1alpha2")),
    Resource(_GATEWAY, "tlsroutes", "TLSRoute", _ROUTES, _MESH, ("v1", "v1alpha3", "v1alpha2")),
    Resource(_RBAC, "roles", "Role", _ACCESS, _AUDIT),
    Resource(_RBAC, "rolebindings", "RoleBinding", _ACCESS, _AUDIT),
    Resource(_RBAC, "clusterroles", "ClusterRole", _ACCESS, _AUDIT, namespaced=False),
    Resource(
        _RBAC, "clusterrolebindings", "ClusterRoleBinding", _ACCESS, _AUDIT, namespaced=False
    ),
    Resource(
        "admissionregistration.k8s.io", "mutatingwebhookconfigurations",
        "MutatingWebhookConfiguration", "revisions of Istio beside the default are not seen", _MESH,
        namespaced=False,
    ),
    Resource(
        "", "configmaps", "ConfigMap",
        "the MeshConfig in force, the injector's values and the Corefile are not seen", _MESH,
        names=(*((_ROOT, name) for name in _REVISED), ("kube-system", "coredns")),
        per_revision=tuple((_ROOT, name) for name in _REVISED),
    ),
)  # fmt: skip


def cluster_role() -> dict[str, object]:
    """The ClusterRole that allows what is asked for, and nothing more.

    Resources of one group share a rule; objects read by name have one of their own.
    """
    rules: list[dict[str, object]] = []
    for group in dict.fromkeys(one.group for one in RESOURCES):
        listed = sorted(one.plural for one in RESOURCES if one.group == group and not one.names)
        rules.append({"apiGroups": [group], "resources": listed, "verbs": ["list"]})
    for one in RESOURCES:
        if one.names:
            rules.append(
                {
                    "apiGroups": [one.group],
                    "resources": [one.plural],
                    "resourceNames": sorted(name for _, name in one.names),
                    "verbs": ["get"],
                }
            )
    rules.append({"apiGroups": [""], "resources": ["namespaces"], "verbs": ["get"]})
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": "rightsize-reader"},
        "rules": rules,
    }


def prometheus_role() -> dict[str, object]:
    """What `--prometheus` needs beside: to find the metrics server's Service, and to ask it."""
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": "rightsize-prometheus"},
        "rules": [
            {"apiGroups": [""], "resources": ["services"], "verbs": ["list"]},
            {"apiGroups": [""], "resources": ["services/proxy"], "verbs": ["get"]},
        ],
    }
