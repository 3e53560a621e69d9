"""The monthly cost review: what it is made of, and the forms it is written in."""

from rightsize.output.report.files import write_report
from rightsize.output.report.model import Report

__all__ = ["Report", "write_report"]
