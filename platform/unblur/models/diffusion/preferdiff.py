"""PreferDiff (Liu et al., ICLR 2025): DreamRec whose loss also prefers the target to what others of the batch want.

The authors' w is guidance_scale - 1. `as_published` is the loss of their code (diffusion.py of lswhim/PreferDiff) in
place of their paper's: one sigmoid for a whole batch. They train on each user's last item alone (next_items = last), on
data divided by users, at d = 3072. What their code does beside the paper in sampling is not followed: the first step is
one beyond those that were trained, and each step is told as one number and noised as the one before.
"""

from unblur.models.diffusion import dreamrec
from unblur.parts import defaults


@defaults(
    loss="preference",
    heads=2,
    guidance_scale=3.0,
    lr=1e-4,
    T=2000,
    sampler="ddim",
    reverse_steps=20,
)
class Config(dreamrec.Config):
    """The authors' settings for Sports, but for d = 64: lambda .4, gamma 5, w 2, 20 DDIM steps of 2000."""


class Model(dreamrec.Model):
    config_class = Config
