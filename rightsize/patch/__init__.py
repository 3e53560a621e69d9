"""Patches the user's values files and manifests: only sizes change, byte by byte.

`patch_files` is the one way in; `verify_chart` proves the result by rendering with Helm.
"""

from rightsize.patch.diff import patched_targets, unified_diff, write_patched
from rightsize.patch.matching import Flags
from rightsize.patch.model import (
    EffectiveSizes,
    Outcome,
    PatchedFile,
    PatchResult,
    PathChange,
    SizeChange,
)
from rightsize.patch.patcher import effective_sizes, patch_files, patch_set, refuse_unknown
from rightsize.patch.verify import RenderedSize, VerificationReport, verify_chart, verify_patched

__all__ = [
    "EffectiveSizes",
    "Flags",
    "Outcome",
    "PatchResult",
    "PatchedFile",
    "PathChange",
    "RenderedSize",
    "SizeChange",
    "VerificationReport",
    "effective_sizes",
    "patch_files",
    "patch_set",
    "patched_targets",
    "refuse_unknown",
    "unified_diff",
    "verify_chart",
    "verify_patched",
    "write_patched",
]
