"""Who can reach the mesh's certificates: by RBAC, by instance metadata, by pods beside istiod."""

from __future__ import annotations

import textwrap
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest

from rightsize.audit.audit import audit
from rightsize.audit.identity import BESIDE, METADATA
from rightsize.audit.measured import measured_findings
from rightsize.audit.reading import read_files
from tests.tiny_mesh import Tiny, tiny_snapshot

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ISTIOD = Tiny("istiod", namespace="istio-system", component="istiod", container="discovery", days=1)
ROLE = "apiVersion: rbac.authorization.k8s.io/v1\nkind: {kind}\nmetadata: {{name: r{more}}}\n{rules}\n---\n"
BINDING = """
    apiVersion: rbac.authorization.k8s.io/v1
    kind: {kind}
    metadata: {{name: b{more}}}
    roleRef: {{kind: {role}, name: r}}
    subjects: [{{kind: ServiceAccount, name: app, namespace: shop}}]
"""


def readers(tmp_path: Path, text: str) -> list[str]:
    path = tmp_path / "rbac.yaml"
    path.write_text(text)
    found = audit(read_files([path]), now=NOW).findings
    return [one.evidence for one in found if one.rule == "secrets-readable"]


def bound(
    rule: str,
    *,
    role: str = "ClusterRole",
    binding: str = "ClusterRoleBinding",
    namespace: str = "",
) -> str:
    more = f", namespace: {namespace}" if namespace else ""
    own = more if role == "Role" else ""
    text = ROLE.format(kind=role, more=own, rules=f"rules: [{rule}]")
    return text + textwrap.dedent(BINDING.format(kind=binding, more=more, role=role))


READS = "{apiGroups: [''], resources: [secrets], verbs: [get]}"


@pytest.mark.parametrize(
    "rule",
    [
        READS,
        "{apiGroups: ['*'], resources: [secrets], verbs: [watch]}",
        "{apiGroups: [''], resources: ['*'], verbs: [list]}",
        "{apiGroups: [''], resources: [pods, secrets], verbs: ['*']}",
        "{apiGroups: [''], resources: [secrets], verbs: [get], resourceNames: [cacerts]}",
        "{apiGroups: [''], resources: [secrets], verbs: [get], resourceNames: [x, istio-ca-secret]}",
    ],
)
def test_every_form_of_reading_is_found(tmp_path, rule):
    (text,) = readers(tmp_path, bound(rule))
    assert text.startswith(
        "ServiceAccount shop/app may read Secrets of istio-system (ClusterRole r"
    )


@pytest.mark.parametrize(
    "rule",
    [
        "{apiGroups: [apps], resources: ['*'], verbs: ['*']}",
        "{apiGroups: [''], resources: [configmaps], verbs: ['*']}",
        "{apiGroups: [''], resources: [secrets], verbs: [create, patch]}",
        "{apiGroups: [''], resources: [secrets], verbs: [get], resourceNames: [other]}",
        "{nonResourceURLs: ['/metrics'], verbs: [get]}",
    ],
)
def test_what_reads_no_certificate_is_none(tmp_path, rule):
    assert readers(tmp_path, bound(rule)) == []


@pytest.mark.parametrize(
    ("namespace", "count"), [("istio-system", 1), ("shop", 0), ("kube-system", 0)]
)
@pytest.mark.parametrize("role", ["Role", "ClusterRole"])
def test_a_rolebinding_counts_in_istiods_namespace_alone(tmp_path, role, namespace, count):
    text = bound(READS, role=role, binding="RoleBinding", namespace=namespace)
    assert len(readers(tmp_path, text)) == count


def test_istiods_namespace_is_where_istiod_is(tmp_path):
    istiod = (
        "---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: istiod-a, namespace: mesh}\n"
        "spec: {template: {spec: {containers: [{name: discovery}]}}}\n"
    )
    text = bound(READS, binding="RoleBinding", namespace="mesh")
    assert readers(tmp_path, text) == []
    assert "Secrets of mesh" in readers(tmp_path, text + istiod)[0]


def test_aggregation_is_followed_and_a_circle_ends(tmp_path):
    both = "{clusterRoleSelectors: [{matchExpressions: [{key: part, operator: In, values: [a]}]}]}"
    text = textwrap.dedent(f"""
        apiVersion: rbac.authorization.k8s.io/v1
        kind: ClusterRole
        metadata: {{name: r, labels: {{part: a}}}}
        aggregationRule: {both}
        ---
        apiVersion: rbac.authorization.k8s.io/v1
        kind: ClusterRole
        metadata: {{name: inner, labels: {{part: a}}}}
        aggregationRule: {both}
        rules: [{READS}]
        ---
        """)
    text += textwrap.dedent(BINDING.format(kind="ClusterRoleBinding", more="", role="ClusterRole"))
    (found,) = readers(tmp_path, text)
    assert "by way of ClusterRole inner" in found


def test_a_role_of_one_name_in_two_folders_is_that_beside_the_binding(tmp_path):
    for folder, rule in (
        ("dev", READS),
        ("prod", "{apiGroups: [''], resources: [pods], verbs: [get]}"),
    ):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "role.yaml").write_text(bound(rule).split("---")[0])
        (tmp_path / folder / "binding.yaml").write_text(bound(rule).split("---")[1])
    found = audit(read_files([tmp_path]), now=NOW).findings
    assert [
        Path(one.place.file).parent.name for one in found if one.rule == "secrets-readable"
    ] == ["dev"]


@pytest.mark.parametrize(
    ("kind", "name", "count"),
    [
        ("Group", "system:masters", 0), ("Group", "eks:addon-manager", 0), ("Group", "ops", 1),
        ("Group", "system:serviceaccounts:ci", 1), ("User", "system:kube-scheduler", 0),
        ("User", "system:anonymous", 1), ("User", "system:serviceaccount:ci:x", 1),
    ],
)  # fmt: skip
def test_components_of_the_cluster_are_left_aside(tmp_path, kind, name, count):
    text = bound(READS).replace(
        "kind: ServiceAccount, name: app, namespace: shop", f"kind: {kind}, name: '{name}'"
    )
    assert len(readers(tmp_path, text)) == count


def test_a_role_that_is_not_there_is_unknown(tmp_path):
    path = tmp_path / "rbac.yaml"
    path.write_text(
        textwrap.dedent(BINDING.format(kind="ClusterRoleBinding", more="", role="ClusterRole"))
    )
    result = audit(read_files([path]), now=NOW)
    assert [one.rule for one in result.findings] == []
    assert any(note.rule == "secrets-readable" for note in result.notes)


def instances(*options: tuple[str | None, float | None, str]) -> pd.DataFrame:
    rows = [
        {
            "instance_id": f"i-{n}", "node": f"node-{n}", "instance_type": "m5.large",
            "node_group": "blue", "metadata_tokens": tokens, "metadata_hops": hops,
            "metadata_endpoint": endpoint,
        }
        for n, (tokens, hops, endpoint) in enumerate(options, start=1)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def measured(tmp_path: Path, *mesh: Tiny, table: pd.DataFrame | None = None):
    given = tiny_snapshot(
        tmp_path / "s", *mesh, days=1, more={} if table is None else {"instances": table}
    )
    return measured_findings(given, now=NOW)


@pytest.mark.parametrize(
    ("first", "second", "severity", "text"),
    [
        (("optional", 1, "enabled"), ("required", 1, "enabled"), "error", "1 ask for no token"),
        (("required", 2, "enabled"), ("required", 1, "enabled"), "error", "1 answer over more"),
        (("required", 1, "enabled"), ("required", 2, "enabled"), "warning", "on 0 of them"),
        (("required", 1, "enabled"), ("required", 1, "enabled"), None, ""),
        (("optional", 2, "disabled"), ("required", 1, "enabled"), None, ""),
        ((None, None, None), ("required", 2, "enabled"), "warning", "1 of 1 nodes"),
    ],
)
def test_open_metadata_is_worst_where_istiod_runs(tmp_path, first, second, severity, text):
    found, _ = measured(tmp_path, ISTIOD, table=instances(first, second))
    mine = [one for one in found if one.rule == METADATA]
    assert [one.severity for one in mine] == ([severity] if severity else [])
    assert all(text in one.evidence for one in mine)


def test_metadata_that_was_not_read_is_a_note(tmp_path):
    for number, table in enumerate((None, instances((None, None, None)))):
        found, notes = measured(tmp_path / str(number), ISTIOD, table=table)
        assert not [one for one in found if one.rule == METADATA]
        assert [note.rule for note in notes].count(METADATA) == 1


def beside(tmp_path: Path, **change: object) -> list[tuple[str, str]]:
    agent = Tiny(
        "agent", namespace="security", component=None, container="a", kind="DaemonSet", days=1
    )
    given = tiny_snapshot(tmp_path / "s", ISTIOD, agent, days=1)
    pods = given.read("pods").drop(columns="day")
    for column, value in change.items():
        pods[column] = pods[column].astype(object)
        pods.loc[pods["workload"] == "agent", column] = value
    written = tiny_snapshot(tmp_path / "again", ISTIOD, agent, days=1, more={"pods": pods})
    found, _ = measured_findings(written, now=NOW)
    return [(one.severity, one.evidence) for one in found if one.rule == BESIDE]


def test_pods_with_the_node_in_hand_beside_istiod_are_named(tmp_path):
    assert beside(tmp_path / "a", host_network=False, privileged=False) == []
    assert beside(tmp_path / "b", host_network=True) == [
        ("info", "security/agent has the node's network on 1 of istiod's 1 nodes")
    ]
    assert beside(tmp_path / "c", host_network=True, privileged=True) == [
        (
            "warning",
            "security/agent has the node's network and is privileged on 1 of istiod's 1 nodes",
        )
    ]
    assert beside(tmp_path / "d", privileged=True, node="elsewhere") == []
    assert beside(tmp_path / "e", privileged=True, namespace="kube-system") == []


def test_privileges_that_no_object_showed_are_a_note(tmp_path):
    agent = Tiny("agent", namespace="security", component=None, container="a", days=1)
    _, notes = measured(tmp_path, ISTIOD, agent)
    assert [note.rule for note in notes].count(BESIDE) == 1
