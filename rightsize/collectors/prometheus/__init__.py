"""Collects a snapshot from Prometheus and whatever speaks its HTTP API."""

from rightsize.collectors.prometheus.collect import Collected, collect

__all__ = ["Collected", "collect"]
