"""Collects a snapshot from Prometheus and whatever speaks its HTTP API."""

from rightsize.collectors.prometheus.collect import Collected, collect
from rightsize.collectors.prometheus.doctor import Diagnosis, diagnose

__all__ = ["Collected", "Diagnosis", "collect", "diagnose"]
