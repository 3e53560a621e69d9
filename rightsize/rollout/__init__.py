"""All recommendations in one ordered rollout."""

from rightsize.rollout.model import Check, Phase, PhaseMoney, RolloutPlan, Waiting

__all__ = ["Check", "Phase", "PhaseMoney", "RolloutPlan", "Waiting"]
