"""The shape of the mesh: what each proxy and istiod need to know, and what they need not."""

from rightsize.namespaces.discovery import DiscoveryScope, discovery_scope
from rightsize.namespaces.egress import EgressScope, egress_scopes
from rightsize.namespaces.injection import InjectionCandidate, injection_candidates
from rightsize.namespaces.traffic import covers, edges

__all__ = [
    "DiscoveryScope",
    "EgressScope",
    "InjectionCandidate",
    "covers",
    "discovery_scope",
    "edges",
    "egress_scopes",
    "injection_candidates",
]
