"""The demo mesh: seeded, synthetic, and saying so everywhere it shows."""

from rightsize.demo.cache import demo_snapshot, write_demo
from rightsize.demo.openmetrics import write_openmetrics
from rightsize.demo.parameters import DemoParameters

__all__ = ["DemoParameters", "demo_snapshot", "write_demo", "write_openmetrics"]
