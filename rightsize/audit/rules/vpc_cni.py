"""Settings of the Amazon VPC CNI that it does not have."""

from __future__ import annotations

from collections.abc import Iterator

from rightsize.audit.model import Sources
from rightsize.audit.registry import Hit, at, rule

_WRONG = "ENABLE_CUSTOM_NETWORKING"
_RIGHT = "AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG"


@rule("vpc-cni-custom-networking")
def custom_networking(sources: Sources) -> Iterator[Hit]:
    # JSON among a command's words is a document, too: one fault is corrected once.
    corrected: set[tuple[str, int]] = set()
    for document in sources.documents:
        for node in document.walk():
            named = node.path and node.path[-1] == _WRONG
            if named or (node.plain and node.text == _WRONG) or node.text == _WRONG:
                fix = f'{_RIGHT}: "true"' if named else f'- name: {_RIGHT}\n  value: "true"'
                corrected.add((node.place.file, node.place.line))
                yield at(node, f"{_WRONG} is set", fix)
    for command in sources.commands:
        place = command.place_of(_WRONG)
        if _WRONG in command.text and (place.file, place.line) not in corrected:
            fix = f"kubectl set env daemonset aws-node -n kube-system {_RIGHT}=true"
            text = command.text.replace(_WRONG, _RIGHT)
            yield at(place, command.text, text if "kubectl" in text else fix)
