"""What scikit-learn asks of an estimator, without importing it before it asks.

Policies and laws are estimators: `clone`, grid search and cross-validation work on them. Importing
scikit-learn takes longer than most commands compute, so that it comes in with those tools alone.
"""

from __future__ import annotations

import copy
import inspect
from typing import Any, Self


class Estimator:
    """Parameters are the constructor's arguments, stored under their names and untouched."""

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The parameters by name; none of them is an estimator."""
        return {name: getattr(self, name) for name in inspect.signature(type(self)).parameters}

    def set_params(self, **params: Any) -> Self:
        """Set parameters by name.

        Raises
        ------
        ValueError
            If there is no such parameter.
        """
        unknown = params.keys() - self.get_params().keys()
        if unknown:
            raise ValueError(f"{type(self).__name__} has no parameter {min(unknown)!r}")
        for name, value in params.items():
            setattr(self, name, value)
        return self

    def fresh(self) -> Self:
        """One of the same parameters that has learned nothing, as `sklearn.base.clone` makes it."""
        return type(self)(**copy.deepcopy(self.get_params(deep=False)))

    def __repr__(self) -> str:
        params = ", ".join(f"{name}={value!r}" for name, value in self.get_params().items())
        return f"{type(self).__name__}({params})"

    def __sklearn_tags__(self) -> Any:
        from sklearn.base import BaseEstimator

        return BaseEstimator().__sklearn_tags__()


class Regressor(Estimator):
    """An estimator that predicts a number for each row."""

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """The coefficient of determination of what is predicted."""
        from sklearn.base import RegressorMixin

        return float(RegressorMixin.score(self, X, y, sample_weight))

    def __sklearn_tags__(self) -> Any:
        from sklearn.base import BaseEstimator, RegressorMixin

        return type("Stock", (RegressorMixin, BaseEstimator), {})().__sklearn_tags__()
