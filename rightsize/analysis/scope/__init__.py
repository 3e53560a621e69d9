"""The shape of the mesh: what each proxy and istiod need to know, and what they need not."""

from rightsize.analysis.scope.discovery import DiscoveryScope, discovery_scope
from rightsize.analysis.scope.egress import EgressScope, egress_scopes
from rightsize.analysis.scope.injection import InjectionCandidate, injection_candidates
from rightsize.analysis.scope.traffic import covers, edges

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
