"""Policies and laws work with scikit-learn's tools, and do without it until then."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from sklearn.base import clone, is_regressor
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit
from sklearn.utils import get_tags

from rightsize.istiod.law import NonNegativeQuantileLaw
from rightsize.sizing.profiles import profile_policy, profiles


@pytest.mark.parametrize("name", profiles())
def test_a_policy_clones_as_it_starts_afresh(name: str) -> None:
    policy = profile_policy(name, {})
    fresh, cloned = policy.fresh(), clone(policy)
    assert type(fresh) is type(cloned) is type(policy)
    assert fresh.get_params() == cloned.get_params() == policy.get_params()
    assert fresh is not policy
    assert not hasattr(fresh, "sizes_")
    assert get_tags(policy).estimator_type is None


def test_a_parameter_that_there_is_not_is_refused() -> None:
    policy = profile_policy("balanced", {})
    with pytest.raises(ValueError, match="no parameter 'nothing'"):
        policy.set_params(nothing=1)


def test_a_law_is_searched_and_scored_as_a_regressor() -> None:
    X = np.arange(1.0, 41.0)[:, None]
    search = GridSearchCV(
        NonNegativeQuantileLaw(), {"quantile": [0.5, 0.9]}, cv=TimeSeriesSplit(3)
    ).fit(X, 5 + 2 * X[:, 0])
    assert search.best_score_ == pytest.approx(1.0)
    assert is_regressor(search.best_estimator_)
    assert repr(search.best_estimator_).startswith("NonNegativeQuantileLaw(quantile=0.5")


def test_commands_start_without_scikit_learn_and_scipy_stats() -> None:
    code = (
        "import sys, rightsize.mesh, rightsize.rollout.verify, rightsize.cli.plan, rightsize.demo\n"
        "print(*{'sklearn', 'scipy.stats'} & sys.modules.keys())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
