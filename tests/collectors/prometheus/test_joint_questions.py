"""Metrics that are asked for alike share a request, and each gets its own part of the answer."""

from __future__ import annotations

import numpy as np
import pytest

from rightsize.collectors.prometheus.parse import Answer
from rightsize.collectors.prometheus.queries import DAILY, asked_together, joint, own_part
from rightsize.collectors.prometheus.query import Shape

BY_RUN = [query for query in DAILY if query.shape is not Shape.WINDOWS]
GROUPS = asked_together(BY_RUN)
JOINT = [group for group in GROUPS if len(group) > 1]


def test_every_question_is_asked_once():
    asked = [query.name for group in GROUPS for query in group]
    assert sorted(asked) == sorted(query.name for query in BY_RUN)
    assert len(GROUPS) <= len(BY_RUN) - 11


@pytest.mark.parametrize("group", JOINT, ids=lambda group: joint(group).name)
def test_a_joint_question_is_each_of_its_own_with_another_metric(group):
    one = joint(group)
    for query in group:
        (metric,) = query.metrics
        assert (
            one.text.replace(f'{{__name__=~"{"|".join(one.metrics)}",', f"{metric}{{") == query.text
        )
        assert (query.shape, metric in one.metrics) == (one.shape, True)
        assert query.text.startswith("last_over_time(")


def test_a_part_of_the_question_is_answered_as_alone():
    assert own_part(answer({"__name__": "a"}), BY_RUN[0], (BY_RUN[0],)).labels == [
        {"__name__": "a"}
    ]
    for group in JOINT:
        names = [query.metrics[0] for query in group]
        whole = answer(*({"__name__": name, "pod": "p"} for name in names), {"pod": "nameless"})
        for number, query in enumerate(group):
            part = own_part(whole, query, group)
            assert part.labels == [{"__name__": query.metrics[0], "pod": "p"}]
            assert part.values.tolist() == [[float(number)]]


def test_each_metric_keeps_its_own_bound():
    group = next(g for g in JOINT if len({query.most for query in g}) > 1)
    least = min(group, key=lambda query: query.most)
    above = 10 * least.most
    whole = Answer(
        [{"__name__": query.metrics[0]} for query in group], np.full((len(group), 1), above)
    )
    for query in group:
        part = own_part(whole, query, group)
        assert np.isnan(part.values).all() == (above > query.most)


def answer(*labels):
    return Answer(list(labels), np.arange(float(len(labels)))[:, None])
