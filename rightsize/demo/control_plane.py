"""istiod's own metrics in the demo mesh, by hour."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
from scipy.special import ndtr

from rightsize.demo.load import DaySamples, services_on
from rightsize.demo.parameters import midnight
from rightsize.demo.topology import Mesh

BOUNDS = {
    "pilot_proxy_convergence_time": (0.1, 0.5, 1, 3, 5, 10, 20, 30),
    "pilot_proxy_queue_time": (0.1, 0.5, 1, 3, 5, 10, 20, 30),
    "pilot_debounce_time": (0.01, 0.1, 1, 3, 5, 10, 20, 30),
    "pilot_xds_push_time": (0.01, 0.1, 1, 3, 5, 10, 20, 30),
    "pilot_xds_send_time": (0.01, 0.1, 1, 3, 5, 10, 20, 30),
}
"""Bucket bounds in seconds (istio/istio, pilot/pkg/xds/monitoring.go)."""
_MEDIAN = {
    "pilot_proxy_convergence_time": 0.25,
    "pilot_proxy_queue_time": 0.03,
    "pilot_debounce_time": 0.12,
    "pilot_xds_push_time": 0.02,
    "pilot_xds_send_time": 0.004,
}
_SPREAD = 0.7
_CERTIFICATE_DAYS = 3650
_ISTIO = "1.28.6"


def control_plane_rows(mesh: Mesh, samples: DaySamples, day: date) -> pd.DataFrame:
    """Gauges as the hour's maximum, counters and buckets as its increase, for each istiod pod."""
    p = mesh.parameters
    random = np.random.default_rng([p.seed, day.toordinal(), 15])
    times = pd.date_range(
        pd.Timestamp(midnight(day)) + pd.Timedelta(1, "h"), periods=24, freq="1h", unit="ms"
    )
    istiods = [row for row, pod in enumerate(samples.pods) if pod.workload.component == "istiod"]
    proxies = np.array([pod.workload.container == "istio-proxy" for pod in samples.pods])
    hourly = samples.alive.reshape(len(samples.pods), 24, 60)
    connected = hourly[proxies].any(axis=2).sum(axis=0) / max(len(istiods), 1)
    services = float(services_on(p, day))
    expiry = midnight(p.start).timestamp() + _CERTIFICATE_DAYS * 86400
    parts = []
    for row in istiods:
        running = hourly[row].any(axis=1)
        pushes = random.poisson(4 + 14 * (np.arange(24) % 24 > 7), 24).astype(float)
        memory = samples.memory[row].reshape(24, 60).max(axis=1).astype(float)
        values: dict[tuple[str, str], np.ndarray] = {
            ("pilot_xds", f"version={_ISTIO}"): np.ceil(connected),
            ("pilot_services", ""): np.full(24, services),
            ("pilot_virt_services", ""): np.full(24, 31.0),
            ("pilot_k8s_cfg_events", ""): np.floor(pushes / 3),
            ("pilot_k8s_reg_events", ""): pushes * 2,
            ("pilot_inbound_updates", "type=eds"): pushes,
            ("process_resident_memory_bytes", ""): memory,
            ("process_cpu_seconds_total", ""): samples.cpu[row].reshape(24, 60).sum(axis=1) / 1e6,
            ("citadel_server_root_cert_expiry_timestamp", ""): np.full(24, expiry),
        }
        for kind, share in (("cds", 0.3), ("eds", 1.0), ("lds", 0.3), ("rds", 0.25)):
            values["pilot_xds_pushes", f"type={kind}"] = np.round(pushes * connected * share)
        for metric, bounds in BOUNDS.items():
            total = np.round(pushes * connected)
            for bound, share in zip((*bounds, np.inf), _shares(metric, bounds), strict=True):
                label = "le=+Inf" if bound == np.inf else f"le={bound:g}"
                values[f"{metric}_bucket", label] = np.round(total * share)
        metrics, labels = zip(*values, strict=True)
        hours = int(running.sum())
        parts.append(
            pd.DataFrame(
                {
                    "time": times.take(np.tile(np.flatnonzero(running), len(values))),
                    "pod": samples.pods[row].name,
                    "metric": np.repeat(np.array(metrics, dtype=object), hours),
                    "label": np.repeat(np.array(labels, dtype=object), hours),
                    "value": np.concatenate([series[running] for series in values.values()]),
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


def _shares(metric: str, bounds: tuple[float, ...]) -> np.ndarray:
    """Cumulative shares of a log-normal law at the bucket bounds."""
    inside = ndtr(np.log(np.array(bounds, dtype=float) / _MEDIAN[metric]) / _SPREAD)
    return np.append(inside, 1.0)
