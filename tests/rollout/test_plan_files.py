"""Files of the phases: what a cluster, Istio and a shell make of them. On the demo mesh, with every
phase forced into its plan."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest
from cloudcoil.models.istio.networking import v1 as networking
from ruamel.yaml import YAML

from rightsize.audit.measured import _ca_finding
from rightsize.demo import demo_snapshot
from rightsize.istiod.slow_propagation import IstiodCpu, explain
from rightsize.namespaces.destination_rules import ConnectionPool, OutlierDetection, ServiceRule
from rightsize.namespaces.injection import InjectionCandidate
from rightsize.namespaces.shards import choose_shards
from rightsize.nodes.plan import NodePlan
from rightsize.prices.unit_price import unit_price
from rightsize.rollout.build import build_plan
from rightsize.rollout.document import PlanDocument, write_document
from rightsize.rollout.model import PhaseName, RolloutPlan
from rightsize.rollout.study import PlanStudy, study_plan
from rightsize.snapshot import Snapshot
from tests.rollout.plan_of_tiny_mesh import tiny_plan
from tests.servers.require import require_program

NOW = datetime(2026, 11, 1, tzinfo=UTC)
RULE = ServiceRule(
    "cart", "cart-api", "cart-api.cart.svc.cluster.local",
    ConnectionPool(128, 128, 128, 2, 2560.0, 40.0), OutlierDetection(10, 10, 30, 33, 50),
    ("it fails now and then",),
)  # fmt: skip
IDLE = tuple(
    InjectionCandidate("cart", f"idle-{kind.lower()}", kind, 2, 61, 0.2, 2**28, False)
    for kind in ("Deployment", "StatefulSet", "Rollout", "CronJob")
)
EVERY_PHASE: tuple[PhaseName, ...] = (
    "baseline", "findings", "propagation", "sidecar-exceptions", "mesh-default", "gateways",
    "istiod", "fewer-nodes", "discovery-selectors", "sidecar-scopes", "destination-rules",
    "injection-off", "shards", "next-step", "cut-after-scope", "buy-nodes",
)  # fmt: skip


@pytest.fixture(scope="module")
def studied() -> PlanStudy:
    return study_plan(Snapshot(demo_snapshot()), now=NOW)


@pytest.fixture(scope="module")
def everything(studied: PlanStudy) -> tuple[PlanStudy, RolloutPlan, NodePlan | None]:
    """The demo's study with a finding, slow pushes, idle sidecars, a rule, and two shards."""
    assert studied.scope is not None
    assert studied.istiod is not None
    assert studied.istiod.model is not None
    assert studied.mesh is not None
    scope = replace(
        studied.scope,
        discovery=replace(studied.scope.discovery, left_out_workloads=20),
        injection=IDLE,
        rules=replace(studied.scope.rules, rules=(RULE,)),
    )
    slow = explain("queue", 0.7, IstiodCpu(limit=2.0), "1.28.6")
    istiod = replace(
        studied.istiod,
        cpu=replace(studied.istiod.cpu, limit=2.0),
        propagation=replace(studied.istiod.propagation, finding=slow),
    )
    price = unit_price("us-east-1").price
    study = replace(
        studied,
        scope=scope,
        istiod=istiod,
        shards=choose_shards(studied.mesh, studied.istiod.model, price, shards=2),
        findings=(_ca_finding("snapshot", "citadel_server_root_cert", NOW, "error"),),
    )
    return (study, *build_plan(study))


@pytest.fixture(scope="module")
def folder(everything, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("out") / "plan"
    write_document(PlanDocument.of(*everything), out)
    return out


def phase_folder(folder: Path, name: PhaseName) -> Path:
    (found,) = folder.glob(f"[0-9][0-9]-{name}")
    return found


def test_phases_come_in_their_order(everything) -> None:
    _, plan, _ = everything
    assert tuple(phase.name for phase in plan.phases) == EVERY_PHASE


def test_a_saving_is_counted_once_and_only_where_nodes_go(everything) -> None:
    _, plan, _ = everything
    together = 0.0
    nodes = plan.nodes_today
    for phase in plan.phases:
        money = phase.money
        if money is None:
            continue
        assert money.nodes_before == nodes
        assert money.saving is not None
        assert money.cumulative is not None
        together += money.saving.mid
        assert money.cumulative.mid == pytest.approx(together, abs=1e-6)
        same_machines = phase.name != "buy-nodes"
        if same_machines and money.nodes_after == money.nodes_before:
            assert money.saving.mid == pytest.approx(0.0, abs=1e-6)
        nodes = money.nodes_after


def test_applying_a_scope_cuts_nothing(everything, folder) -> None:
    _, plan, _ = everything
    for name in ("discovery-selectors", "sidecar-scopes"):
        assert plan.phase(name).money.saving.mid == 0
        texts = [path.read_text() for path in phase_folder(folder, name).iterdir()]
        assert not any("resources:" in text or "proxyMemory" in text for text in texts)
    names = [phase.name for phase in plan.phases]
    assert names.index("cut-after-scope") > names.index("sidecar-scopes")


def test_promtool_takes_the_rules(folder) -> None:
    promtool = require_program("promtool")
    done = subprocess.run(
        [promtool, "check", "rules", str(folder / "checks.yaml")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    operator = YAML(typ="safe").load(phase_folder(folder, "baseline") / "prometheus-rule.yaml")
    assert operator["spec"] == YAML(typ="safe").load(folder / "checks.yaml")


def test_istio_takes_its_objects(folder) -> None:
    for name, model in (
        ("sidecar-scopes", networking.Sidecar),
        ("destination-rules", networking.DestinationRule),
    ):
        files = list(phase_folder(folder, name).glob("*.yaml"))
        assert files
        for file in files:
            written = YAML(typ="safe").load(file)
            read = model.model_validate(written)
            back = read.model_dump(mode="json", by_alias=True, exclude_unset=True)
            assert back["spec"] == written["spec"]


def test_scripts_are_shell(folder) -> None:
    scripts = list(folder.rglob("*.sh"))
    assert len(scripts) >= 8
    for script in scripts:
        done = subprocess.run(["sh", "-n", str(script)], capture_output=True, check=False)
        assert done.returncode == 0, f"{script}: {done.stderr.decode()}"


def test_commands_are_shell(everything) -> None:
    document = PlanDocument.of(*everything)
    for made in document.phases.values():
        for step in (*made.steps, *made.back):
            for command in step.commands if step.language == "sh" else ():
                done = subprocess.run(["sh", "-n", "-c", command], capture_output=True, check=False)
                assert done.returncode == 0, command


def test_annotations_reach_the_pod_template_and_the_way_back_takes_them_to_today(
    folder, everything, tmp_path
) -> None:
    study, *_ = everything
    row = next(r for r in study.advice.recommendations if r.key == "cart/cart-api")
    place = phase_folder(folder, "sidecar-exceptions")
    deployment = tmp_path / "deployment.yaml"
    deployment.write_text(DEPLOYMENT)
    forth = patched(deployment, place / "sidecar-annotations" / "cart-cart-api-deployment.yaml")
    assert forth["sidecar.istio.io/proxyCPU"] == "110m"
    assert forth["team"] == "cart"
    back = patched(deployment, place / "way-back" / "cart-cart-api-deployment.yaml")
    assert row.current.cpu_request == 0.05
    assert back["sidecar.istio.io/proxyCPU"] == "50m"


def test_a_workload_without_sidecar_is_labelled_in_its_pod_template(folder, tmp_path) -> None:
    place = phase_folder(folder, "injection-off")
    deployment = tmp_path / "deployment.yaml"
    deployment.write_text(DEPLOYMENT.replace("cart-api", "idle-deployment"))
    done = kubectl_patch(deployment, place / "cart-idle-deployment.yaml")
    assert done["spec"]["template"]["metadata"]["labels"]["sidecar.istio.io/inject"] == "false"
    cron = YAML(typ="safe").load(place / "cart-idle-cronjob.yaml")
    template = cron["spec"]["jobTemplate"]["spec"]["template"]
    assert template["metadata"]["labels"] == {"sidecar.istio.io/inject": "false"}


def test_an_autoscaler_target_is_moved_and_nothing_else(tmp_path) -> None:
    jq = shutil.which("jq")
    if jq is None:
        pytest.skip("jq is not installed")
    document = PlanDocument.of(*tiny_plan(tmp_path / "s"))
    (command,) = [
        command
        for step in document.phases["mesh-default"].steps
        for command in step.commands
        if "kubectl get hpa" in command
    ]
    program = command.split("jq '")[1].split("'")[0]
    metrics = [resource("memory", 80), resource("cpu", 70)]
    done = subprocess.run(
        [jq, program], input=json.dumps({"spec": {"metrics": metrics}}),
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert json.loads(done.stdout)["spec"]["metrics"] == [
        resource("memory", 80),
        resource("cpu", 77),
    ]


def test_the_node_pool_buys_what_the_eksctl_groups_do(folder) -> None:
    reader = YAML(typ="safe", pure=True)
    (place,) = folder.glob("*-buy-nodes")
    pool, machines = reader.load_all((place / "nodepool.yaml").read_text())
    (config,) = reader.load_all((place / "nodegroups.yaml").read_text())
    spec = pool["spec"]["template"]["spec"]
    wanted = {one["key"]: one["values"] for one in spec["requirements"]}
    types = {group["instanceType"] for group in config["managedNodeGroups"]}
    assert set(wanted["node.kubernetes.io/instance-type"]) == types
    assert wanted["karpenter.sh/capacity-type"] == ["on-demand"]
    assert spec["nodeClassRef"]["name"] == machines["metadata"]["name"]
    assert pool["spec"]["disruption"]["budgets"] == [{"nodes": "10%"}]


def test_values_hold_what_the_commands_recommend(folder, everything) -> None:
    study, *_ = everything
    default = study.advice.mesh_default
    values = YAML(typ="safe").load(phase_folder(folder, "mesh-default") / "istiod-values.yaml")
    requests = values["global"]["proxy"]["resources"]["requests"]
    assert requests == {"cpu": "50m", "memory": "96Mi"}
    assert default.recommended.cpu_request == 0.05
    pilot = YAML(typ="safe").load(phase_folder(folder, "istiod") / "istiod-values.yaml")["pilot"]
    assert pilot["autoscaleMin"] == study.istiod.autoscale_min
    throttle = next(phase_folder(folder, "propagation").glob("1-pilot-push-throttle*"))
    assert YAML(typ="safe").load(throttle)["pilot"]["env"] == {"PILOT_PUSH_THROTTLE": "50"}


def test_every_workload_of_the_default_restarts_once_smallest_namespaces_first(
    folder, everything
) -> None:
    study, *_ = everything
    lines = []
    for script in sorted(phase_folder(folder, "mesh-default").glob("restart-wave-*.sh")):
        lines += [line.strip() for line in script.read_text().splitlines() if "restart" in line]
    covered = [
        row for row in study.advice.recommendations
        if row.workload and row.component == "sidecar" and row.written == "mesh default"
    ]  # fmt: skip
    named = {f"{row.kind.lower()}/{row.workload} -n {row.namespace}" for row in covered}
    restarted = [
        line.split("restart ")[1].removesuffix(" &&")
        for line in lines
        if line.startswith("kubectl")
    ]
    assert len(restarted) == len(named)
    assert set(restarted) == named
    pods = pd.Series({(r.namespace, r.workload): r.replicas for r in covered})
    order = list(dict.fromkeys(line.split("-n ")[1] for line in restarted))
    sizes = pods.groupby(level=0).sum()
    assert [sizes[name] for name in order] == sorted(sizes)


DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: cart-api, namespace: cart}
spec:
  selector: {matchLabels: {app: a}}
  template:
    metadata:
      labels: {app: a}
      annotations: {team: cart, sidecar.istio.io/proxyCPU: 10m}
    spec: {containers: [{name: a, image: a}]}
"""


def resource(name: str, target: int) -> dict[str, object]:
    return {
        "type": "Resource",
        "resource": {"name": name, "target": {"type": "Utilization", "averageUtilization": target}},
    }


def patched(manifest: Path, patch: Path) -> dict[str, str]:
    done = kubectl_patch(manifest, patch)
    found: dict[str, str] = done["spec"]["template"]["metadata"]["annotations"]
    return found


def kubectl_patch(manifest: Path, patch: Path) -> dict:
    kubectl = require_program("kubectl")
    command = [kubectl, "patch", "--local", "-f", str(manifest), "--patch-file", str(patch)]
    done = subprocess.run([*command, "-o", "json"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
