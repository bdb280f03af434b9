"""Independent condition guidance (Sadat et al. 2024, arXiv 2407.02687): the weak pass knows somebody else's history.

What it says of x_0 has nothing to do with the user, as if it were said without a condition; so that nothing has to be
trained for it, and a model that was trained without dropping histories can be guided.
"""

from unblur.diffusion.guidance._rule import GuidanceConfig, Rule


class Config(GuidanceConfig):
    """Those of every rule; p_uncond may be 0, whatever the scale."""


class Guidance(Rule):
    """other's + scale (conditional - other's)."""

    OTHERS = True
