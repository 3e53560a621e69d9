"""A rollout plan as Markdown, JSON, Prometheus rules, and the files of each phase."""

from rightsize.reporters.plan.document import PlanDocument, check_folder, write_document

__all__ = ["PlanDocument", "check_folder", "write_document"]
