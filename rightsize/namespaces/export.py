"""How to export the objects that a scope, a selector or a shard depends on."""

from __future__ import annotations

KINDS = (
    "virtualservices",
    "serviceentries",
    "workloadentries",
    "destinationrules",
    "gateways.networking.istio.io",
    "sidecars",
    "envoyfilters",
    "proxyconfigs",
    "wasmplugins",
    "authorizationpolicies",
    "peerauthentications",
    "requestauthentications",
    "telemetries",
    "httproutes.gateway.networking.k8s.io",
    "grpcroutes.gateway.networking.k8s.io",
    "tcproutes.gateway.networking.k8s.io",
    "tlsroutes.gateway.networking.k8s.io",
    "gateways.gateway.networking.k8s.io",
    "services",
)
"""Every kind that a scope, a selector or a shard depends on; Services for their aliases."""
EXPORT = (
    f'for kind in {" ".join(KINDS)}; do echo ---; kubectl get "$kind" -A -o yaml; done '
    "> istio.yaml; echo --- >> istio.yaml; "
    "kubectl get configmap istio -n istio-system -o yaml >> istio.yaml || true"
)
"""A kind that the cluster does not have is an error of its own, and stops none of the others."""
