"""The month in figures: what the mesh cost, what was promised, what came of it."""

from rightsize.review.model import Review
from rightsize.review.month import Month, month_of
from rightsize.review.review import review_month

__all__ = ["Month", "Review", "month_of", "review_month"]
