"""A Grafana dashboard on the series that the alerts record."""

from rightsize.output.dashboard.document import config_map_text, dashboard, dashboard_text

__all__ = ["config_map_text", "dashboard", "dashboard_text"]
