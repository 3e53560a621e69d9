"""Files of a division into shards: values, label commands, and the way there and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict

from rightsize.border import command, printable, promql_string, word
from rightsize.data_files import filled_file
from rightsize.files.istioctl import istioctl, proxy_status
from rightsize.files.shell import Change, change_script
from rightsize.files.yaml_text import Document, to_yaml
from rightsize.istiod.pilot_settings import minor_release
from rightsize.istiod.replicas import ReplicaPlan, disruption_budget
from rightsize.namespaces.manifests import budget_values, resources_block, spread_constraints
from rightsize.namespaces.shard_loads import Namespaces
from rightsize.namespaces.shards import Shard, ShardAdvice, Sharding, migration_order
from rightsize.nodes.rules import HOSTNAME, ZONE
from rightsize.quantity import format_cpu, format_memory, round_up_cpu, round_up_memory
from rightsize.results import Interval, Sizes
from rightsize.sizing.node_bound import ANY_NODE, Largest

JSON_VERSION = 1
_INJECTION = "istio-injection"
_REVISION = "istio.io/rev"


def watch_label(shard: Shard) -> str:
    """Label of the namespaces that a shard's istiod watches; one namespace may carry several."""
    return f"istio-discovery-shard-{shard.number}"


def tag(shard: Shard) -> str:
    """Revision tag that namespaces are labelled with, so that an upgrade moves only the tag."""
    return f"shard-{shard.number}"


def revision(shard: Shard, istio_version: str | None) -> str:
    """Revision of the shard's istiod: version and number, as `1-28-3-shard-1`."""
    version = (istio_version or "").split("-")[0].replace(".", "-")
    return f"{version}-{tag(shard)}" if version else f"r1-{tag(shard)}"


def shard_values(shard: Shard, istio_version: str | None, sizes: Sizes) -> Document:
    """Values of the istiod chart for one shard, with these sizes."""
    plan, name = shard.plan, revision(shard, istio_version)
    return {
        "revision": name,
        # Tags of the values in use would belong to two releases: one webhook and Service, two owners.
        "revisionTags": [],
        "meshConfig": {"discoverySelectors": [{"matchLabels": {watch_label(shard): "true"}}]},
        "pilot": {
            "resources": resources_block(sizes),
            "autoscaleEnabled": True,
            "autoscaleMin": plan.replicas,
            "autoscaleMax": plan.replicas + 2,
            "cpu": {"targetAverageUtilization": plan.target},
            # Those of the values in use, and a budget beside them, select another revision's pods.
            "topologySpreadConstraints": spread_constraints((ZONE, HOSTNAME), name),
        },
        **budget_values(disruption_budget(plan.replicas, istio_version), by_chart=True),
    }


def shard_files(
    advice: ShardAdvice,
    mesh: Namespaces,
    *,
    istio_version: str | None,
    labels: Mapping[str, Mapping[str, str]],
    most: Largest = ANY_NODE,
) -> Mapping[str, str]:
    """File name to text.

    Parameters
    ----------
    labels : mapping of namespace to its labels
        As they are now, for the way back (see `rightsize.namespaces.traffic.namespace_labels`).
    most : Largest
        No size beyond it is written.
    """
    shards = advice.chosen.shards
    files = {
        "1-label-watched.sh": change_script(
            [c for s in shards for c in watch_changes(s)],
            "Run before any shard is installed: what is not labelled its istiod does not know.",
        )
    }
    for shard in shards:
        sizes, said = most.part_of(_sizes(shard.plan))
        comment = (
            f"istiod chart, shard {shard.number}: {len(shard.members)} namespaces of its own, "
            f"{len(shard.watched)} watched.\n"
            "Keep meshConfig, trust domain and CA (cacerts) as in the revision in use: mutual TLS "
            "goes on across shards."
        )
        files[f"2-{tag(shard)}-values.yaml"] = to_yaml(
            [shard_values(shard, istio_version, sizes)], comment="\n".join((comment, *said))
        )
    files["3-migration.md"] = _runbook(advice, mesh, istio_version, labels)
    return files


def watch_changes(shard: Shard) -> list[Change]:
    """To run before the shard's istiod starts: what is not labelled it does not know."""
    label = f"{watch_label(shard)}=true"
    return [
        Change(
            name,
            ("namespace", name),
            (command("kubectl", "label", "namespace", name, label, "--overwrite"),),
        )
        for name in shard.watched
    ]


def _runbook(
    advice: ShardAdvice,
    mesh: Namespaces,
    istio_version: str | None,
    labels: Mapping[str, Mapping[str, str]],
) -> str:
    release, shards = minor_release(istio_version), advice.chosen.shards
    parts = [filled_file("shards/start.md", {"reason": advice.reason})]
    for number, shard in enumerate(shards, start=2):
        name = revision(shard, istio_version)
        install = {
            "number": number,
            "shard": shard.number,
            "tag": tag(shard),
            "chart": _chart(istio_version),
            "tag_set": istioctl(release, "tag set", tag(shard), flags={"--revision": name}),
            "revision": name,
            "replicas": shard.plan.replicas,
            "tag_remove": istioctl(release, "tag remove", tag(shard)),
        }
        parts.append(filled_file("shards/install.md", install))
    for shard in shards:
        parts.append(f"\n## Shard {shard.number}\n\n")
        for place, namespace in enumerate(migration_order(mesh, shard), start=1):
            known = labels.get(namespace, {})
            parts.append(_step(place, namespace, shard, mesh, istio_version, known))
    if mesh.without_proxies:
        names = ", ".join(map(printable, mesh.without_proxies))
        parts.append(f"\nWatched, and not moved, since they have no proxies: {names}.\n")
    first = revision(shards[0], istio_version)
    end = {
        "default_tag": istioctl(
            release, "tag set", "default", flags={"--revision": first, "--overwrite": ""}
        ),
        "chart": _chart(istio_version),
        "first": first,
        "status": proxy_status(release),
        "default_status": proxy_status(release, revision="default"),
        "every": " ".join(f"{watch_label(shard)}=true" for shard in shards),
        "own_tag": tag(shards[0]),
        "last": watch_label(shards[-1]),
    }
    return "".join([*parts, filled_file("shards/end.md", end)])


def _chart(istio_version: str | None) -> str:
    """The release in use: without it Helm takes the newest chart."""
    version = (istio_version or "").split("-")[0]
    return f" --version {version}" if version else " --version RELEASE-IN-USE"


def _step(
    place: int,
    namespace: str,
    shard: Shard,
    mesh: Namespaces,
    istio_version: str | None,
    labels: Mapping[str, str],
) -> str:
    there, back = _move(namespace, tag(shard), mesh, labels, istio_version)
    name = revision(shard, istio_version)
    # Gateways report what they send, and receive nothing from a sidecar.
    side = "source" if namespace in mesh.gateways_alone else "destination"
    step = {
        "place": place,
        "namespace": printable(namespace),
        "there": "\n".join(f"   {line}" for line in there),
        "status": proxy_status(minor_release(istio_version), namespace=namespace, revision=name),
        "tag": tag(shard),
        "revision": name,
        "calls": f'reporter="{side}",{side}_workload_namespace={promql_string(namespace)}',
        "back": "\n".join(f"   {line}" for line in back),
    }
    return filled_file("shards/step.md", step)


def _move(
    namespace: str, to: str, mesh: Namespaces, labels: Mapping[str, str], istio_version: str | None
) -> tuple[list[str], list[str]]:
    """Commands that move a namespace's proxies to a revision tag, and those that move them back.

    A label on the namespace injects all of its pods, so it is set only where one was before (or
    labels are not known and sidecars are there). Restarts spare what is no gateway in a namespace
    of gateways: istiod itself may run beside them.
    """
    gateways = mesh.gateway_workloads.get(namespace, ())
    labelled = _INJECTION in labels or _REVISION in labels
    if not labelled and namespace in mesh.gateways_alone:
        return (
            _by_helm(namespace, gateways, to, istio_version),
            _by_helm(namespace, gateways, "", istio_version),
        )
    if not labelled and labels:
        return (
            [
                "# Pods are injected by a label of their own, the namespace has none:",
                f"# set {_REVISION}: {to} beside sidecar.istio.io/inject on their pod templates",
            ],
            [f"# take {_REVISION} off the pod templates again"],
        )
    restart = (
        [
            command("kubectl", "rollout", "restart", "deployment", name, "-n", namespace)
            for name in gateways
        ]
        if namespace in mesh.gateways_alone
        else [
            command("kubectl", "rollout", "restart", "deployment,statefulset,daemonset")
            + f" -n {word(namespace)}"
        ]
    )
    before = [f"{_REVISION}={labels[_REVISION]}" if _REVISION in labels else f"{_REVISION}-"]
    if _INJECTION in labels or not labelled:
        before.append(f"{_INJECTION}={labels.get(_INJECTION, 'enabled')}")
    return (
        # istio-injection wins over istio.io/rev, so it has to go.
        [
            command("kubectl", "label", "namespace", namespace, f"{_INJECTION}-")
            + f" {_REVISION}={to} --overwrite",
            *restart,
        ],
        [command("kubectl", "label", "namespace", namespace, *before, "--overwrite"), *restart],
    )


def _by_helm(
    namespace: str, gateways: Sequence[str], to: str, istio_version: str | None
) -> list[str]:
    """A gateway in a namespace without a label carries its revision on its pods."""
    return [
        "# a gateway of the gateway chart; of another, the label istio.io/rev of its pod template",
        *(
            command("helm", "upgrade", name, "istio/gateway", "-n", namespace)
            + f"{_chart(istio_version)} --reuse-values --set revision={to}"
            for name in gateways
        ),
    ]


def shards_to_dict(
    advice: ShardAdvice, delays: Mapping[int, Interval | None], *, simulated: bool
) -> Mapping[str, object]:
    """The answer of `rightsize shards --format json`; see docs/control-plane.md."""
    return {
        "schema_version": JSON_VERSION,
        "simulated": simulated,
        "reason": advice.reason,
        "notes": list(advice.notes),
        "shards": [
            {
                "number": shard.number,
                "members": list(shard.members),
                "watched": list(shard.watched),
                "load_share": shard.share,
                "load": asdict(shard.load),
                "replicas": shard.plan.replicas,
                "cpu_request_cores": shard.plan.cpu_request,
                "memory_request_bytes": shard.plan.memory.high,
                "propagation_p99_seconds": None
                if (p99 := delays.get(shard.number)) is None
                else asdict(p99),
            }
            for shard in advice.chosen.shards
        ],
        "looked_at": [_looked_at(found) for found in advice.looked_at],
    }


def shard_lines(advice: ShardAdvice, delays: Mapping[int, Interval | None]) -> list[str]:
    """The same for people."""
    lines = [f"{advice.reason}.", "shards  pods  largest pod            cut calls  fits  worth"]
    for found in advice.looked_at:
        largest = max(found.shards, key=lambda s: s.plan.memory.high).plan
        size = f"{format_cpu(largest.cpu_request)}, {format_memory(largest.memory.high)}"
        cut = f"{found.cut_calls:,.0f}/{found.total_calls:,.0f}"
        ratio = found.worth / advice.looked_at[0].worth
        mark = "  <-" if found is advice.chosen else ""
        lines.append(
            f"{len(found.shards):>6}  {sum(s.plan.replicas for s in found.shards):>4}  {size:<21}  "
            f"{cut:>9}  {'yes' if found.fits else 'no':>4}  {ratio:.2f}x{mark}"
        )
    lines.append("worth: requests of all istiods by prices of CPU and memory, one istiod = 1")
    for shard in advice.chosen.shards:
        lines.append(
            f"shard {shard.number}: {len(shard.members)} namespaces, {len(shard.watched)} watched, "
            f"{shard.load.proxies:,.0f} proxies, {shard.load.services:,.0f} services, "
            f"{shard.share:.0%} of the load, {shard.plan.replicas} x "
            f"{format_cpu(shard.plan.cpu_request)}, {format_memory(shard.plan.memory.high)}"
            f"{_delay_text(delays.get(shard.number))}"
        )
    return lines + [f"note: {note}" for note in advice.notes]


def _delay_text(found: Interval | None) -> str:
    if found is None:
        return ", propagation not known"
    ends = f"{found.low:.1f} to {found.high:.1f}"
    return f", p99 of propagation about {found.mid:.1f} s ({ends}, predicted)"


def _looked_at(found: Sharding) -> Mapping[str, object]:
    return {
        "shards": len(found.shards),
        "cut_calls": found.cut_calls,
        "total_calls": found.total_calls,
        "services_watched_twice": found.cut_services,
        "heaviest_over_mean": found.heaviest,
        "largest_pod_memory_bytes": max(s.plan.memory.high for s in found.shards),
        "fits": found.fits,
        "relative_worth_usd_per_hour": found.worth,
    }


def _sizes(plan: ReplicaPlan) -> Sizes:
    cpu, memory = round_up_cpu(plan.cpu_request), round_up_memory(plan.memory.high)
    return Sizes(cpu_request=cpu, memory_request=memory)
