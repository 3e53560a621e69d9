"""The runbook: this mesh's names, quoted, and commands that the audit finds nothing wrong with."""

from __future__ import annotations

import re
import shlex
from dataclasses import replace
from datetime import UTC, datetime

import pandas as pd
import pytest

from rightsize.audit.audit import audit
from rightsize.audit.reading import read_files
from rightsize.errors import NoDataError
from rightsize.files.istioctl import catalogue
from rightsize.files.known import parse_version
from rightsize.rollout.runbook import names_of, runbook
from tests.cli.run import rightsize
from tests.tiny_mesh import Tiny, tiny_snapshot

NOW = datetime(2026, 1, 1, tzinfo=UTC)
BLOCK = re.compile(r"```sh\n(.*?)```", re.DOTALL)


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory):
    istiod = Tiny(
        "istiod-canary", namespace="istio-system", component="istiod", container="discovery"
    )
    return tiny_snapshot(
        tmp_path_factory.mktemp("m") / "s", Tiny("web", pods=5), Tiny("api", pods=2), istiod
    )


def commands(text: str) -> list[list[str]]:
    lines = [line.strip() for block in BLOCK.findall(text) for line in block.splitlines()]
    return [shlex.split(line) for line in lines if line]


def test_the_workload_with_the_most_pods_and_the_revision_are_in_the_commands(snapshot):
    names = names_of(snapshot)
    assert (names.namespace, names.workload, names.revisions) == ("shop", "web", ("canary",))
    text = runbook(names)
    assert "--revision canary" in text
    assert 'pod=~"(istiod-canary-[a-z0-9]+-[a-z0-9]+)"' in text
    assert names_of(snapshot, "shop").workload == "web"


@pytest.mark.parametrize("release", ["1.18", "1.26", "1.28", "1.30"])
def test_the_audit_finds_nothing_in_it(snapshot, tmp_path, release):
    version = parse_version(release)
    path = tmp_path / "runbook.md"
    path.write_text(runbook(replace(names_of(snapshot), release=version)))
    found = audit(read_files([path], version=version), now=NOW).findings
    assert [(f.rule, f.evidence) for f in found] == []


def test_every_command_of_istioctl_and_name_of_its_charts_is_in_the_catalogue(snapshot):
    rest = {flag for name, flag in catalogue() if name == ("kubectl",)}
    text = runbook(names_of(snapshot))
    for words in commands(text):
        if words[0] == "istioctl":
            name = next(
                words[1:n] for n in range(4, 1, -1) if (tuple(words[1:n]), "") in catalogue()
            )
            flags = {word for word in words if word.startswith("-")}
            assert flags <= {flag for (of, flag) in catalogue() if of == tuple(name)}
        elif "-l" in words:
            assert words[words.index("-l") + 1] in rest
        elif "--raw" in words:
            assert "/" + words[-1].rpartition("/")[2] in rest
    assert all(word in text for word in rest)


TWO = (
    Tiny("istiod", namespace="mesh", component="istiod", container="discovery"),
    Tiny("istiod-canary", namespace="mesh", component="istiod", container="discovery"),
)


@pytest.mark.parametrize(
    ("annotations", "pod_labels", "labels", "istiods"),
    [
        ('{"istio.io/rev": "canary"}', None, '{"istio-injection": "enabled"}', ("istiod-canary",)),
        ('{"istio.io/rev": "default"}', None, '{"istio.io/rev": "prod"}', ("istiod",)),
        (None, None, '{"istio.io/rev": "canary"}', ("istiod-canary",)),
        (None, None, '{"istio-injection": "enabled", "istio.io/rev": "canary"}', ("istiod",)),
        (None, '{"istio.io/rev": "canary"}', None, ("istiod-canary",)),
        (None, '{"istio.io/rev": "canary"}', '{"istio-injection": "enabled"}', ("istiod",)),
        (None, None, '{"istio.io/rev": "a-tag"}', ("istiod", "istiod-canary")),
        (None, None, None, ("istiod", "istiod-canary")),
        (None, None, "{}", ("istiod", "istiod-canary")),
        (
            '{"istio.io/rev": "gone"}',
            None,
            '{"istio-injection": "enabled"}',
            ("istiod", "istiod-canary"),
        ),
    ],
)
def test_of_two_istiods_that_of_the_namespace_is_named_or_both(
    tmp_path, annotations, pod_labels, labels, istiods
):
    mesh = tiny_snapshot(
        tmp_path / "s",
        Tiny("web", days=1, annotations=annotations, labels=pod_labels),
        *(one.but(days=1) for one in TWO),
        days=1,
        more={"namespaces": pd.DataFrame({"namespace": ["shop"], "labels": [labels]})},
    )
    names = names_of(mesh)
    assert names.istiods == istiods
    text = runbook(names)
    for revision in names.revisions:
        assert f"--revision {revision}" in text
    for istiod in istiods:
        assert f"/api/v1/namespaces/mesh/services/https:{istiod}:443" in text
    assert ("does not say which" in text) is (len(istiods) == 2)
    assert 'namespace="mesh"' in text


def test_every_command_reads_alone(snapshot):
    reading = {"get", "logs", "run", "x", "proxy-config", "proxy-status", "tag"}
    for words in commands(runbook(names_of(snapshot))):
        assert words[1] in reading
        assert words[1] != "run" or "--dry-run=server" in words


def test_hostile_names_stay_one_word(snapshot):
    evil = "a$(touch x)\n`id`"
    text = runbook(replace(names_of(snapshot), pod=evil, namespace="n;s", workload='w"x'))
    for words in commands(text):
        if "-n" in words and "istio-system" not in words:
            assert words[words.index("-n") + 1] == "n;s"
    assert '"n;s"' in text
    assert "\n`id`" not in text


def test_a_namespace_without_sidecars_is_refused(snapshot):
    with pytest.raises(NoDataError, match="no sidecar runs in namespace nowhere"):
        names_of(snapshot, "nowhere")


def test_the_command_writes_markdown(snapshot, tmp_path):
    done = rightsize("runbook", "--snapshot", snapshot.path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("# Runbook of tiny")
    rightsize("runbook", "--snapshot", snapshot.path, "-o", tmp_path / "r.md")
    assert (tmp_path / "r.md").read_text() == done.stdout
