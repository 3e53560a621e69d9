"""The monthly cost review: what it is made of, and the forms it is written in."""

from rightsize.reporters.report.files import write_report
from rightsize.reporters.report.model import Report

__all__ = ["Report", "write_report"]
