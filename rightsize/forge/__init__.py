"""A change proposed where teams review it: a branch, and the pull request that is kept up to date."""

from rightsize.forge.branch import Branch, Repository, proposed
from rightsize.forge.requests import MARKER, Forge, forge_of

__all__ = ["MARKER", "Branch", "Forge", "Repository", "forge_of", "proposed"]
