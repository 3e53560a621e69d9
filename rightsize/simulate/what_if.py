"""The mesh at another scale, from its snapshot."""

from __future__ import annotations

from rightsize.config import Settings
from rightsize.istiod.mesh_today import MeshToday, Scale, mesh_today
from rightsize.istiod.model import fit_istiod
from rightsize.istiod.source import read_istiod
from rightsize.namespaces.study import fitted_proxies
from rightsize.prices.unit_price import unit_price
from rightsize.simulate.simulate import Outcome, simulate
from rightsize.snapshot import Snapshot


def what_if(
    snapshot: Snapshot,
    settings: Settings,
    *,
    services: float | None = None,
    pods: float | None = None,
    requests_per_second: float | None = None,
    ambient: bool = False,
    waypoint_share: float = 1.0,
) -> tuple[MeshToday, list[Outcome]]:
    """Carry the mesh to another scale, and without sidecars too where that is asked.

    Parameters
    ----------
    services, pods : float, optional
        As many as today without.
    requests_per_second : float, optional
        At the busiest; grows with the pods without.
    ambient : bool
        Also with ztunnel and waypoints instead of sidecars.
    waypoint_share : float
        Share of requests through a waypoint in ambient mode, 0 to 1.

    Raises
    ------
    NoDataError
        If the snapshot says too little of istiod or the proxies.
    """
    model = fit_istiod(read_istiod(snapshot).hours)
    proxies, law, _ = fitted_proxies(snapshot)
    now = mesh_today(snapshot, proxies, model.load.services, settings.nodes)
    many = now.scale.pods if pods is None else pods
    grown = now.scale.requests_per_second * many / now.scale.pods
    scale = Scale(
        services=now.scale.services if services is None else services,
        pods=many,
        requests_per_second=grown if requests_per_second is None else requests_per_second,
        waypoint_share=waypoint_share,
    )
    price = unit_price(snapshot.manifest.region).price
    found = [simulate(now, scale, model, law, price)]
    if ambient:
        found.append(simulate(now, scale, model, law, price, mode="ambient"))
    return now, found
