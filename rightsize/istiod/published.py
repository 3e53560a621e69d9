"""Figures that others have published, each with its source; used only where the mesh shows nothing.

They are never mixed into a measured figure without saying so.
"""

from __future__ import annotations

from dataclasses import dataclass

_PAGE = "istio.io, Deployment / Performance and Scalability"


@dataclass(frozen=True, slots=True)
class PublishedFigure:
    """CPU (cores) and memory (bytes) of one component under a stated load."""

    what: str
    cpu: float
    memory: float
    load: str
    source: str

    @property
    def text(self) -> str:
        memory = f"{self.memory / 1e6:g} MB" if self.memory < 1e9 else f"{self.memory / 1e9:g} GB"
        return f"{self.what}: {self.cpu:g} vCPU and {memory} at {self.load} ({self.source})"


ISTIOD = PublishedFigure(
    "istiod", 1.0, 1.5e9, "1000 services and 2000 sidecars", f"{_PAGE}, Istio 1.4 to 1.16"
)
"""With namespace isolation. Newer pages give no figure for istiod."""
ISTIOD_SERVICES = 1000.0
ISTIOD_PROXIES = 2000.0

SIDECAR = PublishedFigure(
    "sidecar with 2 workers", 0.20, 60e6, "1000 requests/s of 1 KB", f"{_PAGE}, Istio 1.24"
)
WAYPOINT = PublishedFigure(
    "waypoint with 2 workers", 0.25, 60e6, "1000 requests/s of 1 KB", f"{_PAGE}, Istio 1.24"
)
ZTUNNEL = PublishedFigure("ztunnel", 0.06, 12e6, "1000 requests/s of 1 KB", f"{_PAGE}, Istio 1.24")
RATE = 1000.0
"""Requests a second at which the data-plane figures were taken."""

AKS_BYTES_PER_SIDECAR = 1.28e6
AKS = (
    "about 1.28 MB a sidecar (Microsoft, Istio service mesh AKS add-on performance, revision "
    "asm-1-19, pod churn)"
)
"""Measured with one service: nearly all of it is the price of a connected proxy."""

SPLIT = "the published total is split evenly between its drivers, which is an assumption"

MEMORY_PRIORS = {
    "services": ISTIOD.memory / 2 / ISTIOD_SERVICES,
    "proxies": AKS_BYTES_PER_SIDECAR,
    "endpoints": 0.0,
    "pushes": 0.0,
}
"""Bytes for one more of each driver. Of two published figures the larger one: too little memory
kills istiod, too much costs a few dollars."""
CPU_PRIORS = {
    "proxies": ISTIOD.cpu / ISTIOD_PROXIES,
    "services": 0.0,
    "pushes": 0.0,
    "pushed_mib": 0.0,
}
"""Cores for one more of each driver."""


def prior_source(resource: str, driver: str) -> str:
    """Where the prior of a driver comes from, as a clause."""
    if (resource, driver) == ("memory", "proxies"):
        return f"from the published figure {AKS}"
    if (resource, driver) in (("memory", "services"), ("cpu", "proxies")):
        return f"from the published figure {ISTIOD.text}; {SPLIT}"
    return "no figure was published for it"
