"""Scheduling fields are read as the Kubernetes API defines them."""

import json

import pytest

from rightsize.nodes.rules import HOSTNAME, Taint, parse_rules, parse_taints

ON_GPU = (Taint("nvidia.com/gpu", "true", "NoSchedule"),)


def accepts(scheduling: dict[str, object], labels: dict[str, str], *taints: Taint) -> bool:
    return parse_rules(json.dumps(scheduling)).accepts(labels, taints)


def term(key: str, operator: str, *values: str) -> dict[str, object]:
    return {
        "affinity": {
            "nodeAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": {
                    "nodeSelectorTerms": [
                        {
                            "matchExpressions": [
                                {"key": key, "operator": operator, "values": list(values)}
                            ]
                        }
                    ]
                }
            }
        }
    }


def test_a_node_selector_must_match_wholly() -> None:
    asked = {"nodeSelector": {"pool": "a", "disk": "ssd"}}
    assert accepts(asked, {"pool": "a", "disk": "ssd", "more": "x"})
    assert not accepts(asked, {"pool": "a"})


@pytest.mark.parametrize(
    ("operator", "values", "label", "expected"),
    [
        ("In", ("a", "b"), "b", True),
        ("In", ("a",), None, False),
        ("NotIn", ("a",), "b", True),
        ("NotIn", ("a",), None, True),
        ("NotIn", ("a",), "a", False),
        ("Exists", (), "x", True),
        ("Exists", (), None, False),
        ("DoesNotExist", (), None, True),
        ("DoesNotExist", (), "x", False),
        ("Gt", ("4",), "8", True),
        ("Gt", ("8",), "8", False),
        ("Lt", ("4",), "2", True),
        ("Lt", ("4",), "two", False),
    ],
)
def test_operators_of_node_affinity(
    operator: str, values: tuple[str, ...], label: str | None, expected: bool
) -> None:
    labels = {} if label is None else {"k": label}
    assert accepts(term("k", operator, *values), labels) is expected


def test_any_one_term_of_node_affinity_is_enough() -> None:
    both = term("zone", "In", "a")
    terms = both["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    terms["nodeSelectorTerms"] += [
        {"matchExpressions": [{"key": "zone", "operator": "In", "values": ["b"]}]}
    ]
    assert accepts(both, {"zone": "b"})
    assert not accepts(both, {"zone": "c"})


def test_the_node_a_daemonset_pod_is_pinned_to_says_nothing_of_other_nodes() -> None:
    pinned = {
        "affinity": {
            "nodeAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": {
                    "nodeSelectorTerms": [
                        {
                            "matchFields": [
                                {"key": "metadata.name", "operator": "In", "values": ["n"]}
                            ]
                        }
                    ]
                }
            }
        }
    }
    assert accepts(pinned, {})


def test_a_taint_keeps_pods_away_that_do_not_tolerate_it() -> None:
    assert not accepts({}, {}, *ON_GPU)
    exists = {"tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists"}]}
    equal = {"tolerations": [{"key": "nvidia.com/gpu", "value": "true", "effect": "NoSchedule"}]}
    other = {"tolerations": [{"key": "nvidia.com/gpu", "value": "false"}]}
    everything = {"tolerations": [{"operator": "Exists"}]}
    assert accepts(exists, {}, *ON_GPU)
    assert accepts(equal, {}, *ON_GPU)
    assert not accepts(other, {}, *ON_GPU)
    assert accepts(everything, {}, *ON_GPU)


def test_a_taint_that_only_prefers_or_passes_does_not_bind() -> None:
    text = json.dumps(
        [
            {"key": "a", "effect": "PreferNoSchedule"},
            {"key": "node.kubernetes.io/not-ready", "effect": "NoExecute"},
        ]
    )
    assert accepts({}, {}, *parse_taints(text))


def test_only_what_is_required_binds() -> None:
    rules = parse_rules(
        json.dumps(
            {
                "topologySpreadConstraints": [
                    {"topologyKey": HOSTNAME, "maxSkew": 2, "whenUnsatisfiable": "ScheduleAnyway"},
                    {"topologyKey": HOSTNAME, "maxSkew": 1, "whenUnsatisfiable": "DoNotSchedule"},
                ],
                "affinity": {
                    "podAntiAffinity": {
                        "preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1}]
                    }
                },
            }
        )
    )
    assert [spread.max_skew for spread in rules.spread] == [1]
    assert rules.apart == ()


def test_overhead_and_priority_are_read() -> None:
    text = json.dumps({"overhead": {"cpu": "250m", "memory": "120Mi"}, "priority": 1000})
    rules = parse_rules(text)
    assert (rules.overhead_cpu, rules.overhead_memory) == (0.25, 120 * 2**20)
    assert rules.priority == 1000


def test_unknown_scheduling_demands_nothing_and_says_that_it_is_unknown() -> None:
    assert parse_rules(None).accepts({}, ())
    assert not parse_rules(None).known
    assert parse_rules("{}").known
