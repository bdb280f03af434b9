"""TDM (Mao et al., SIGIR 2025): DreamRec whose histories lose items in training, by how uncertain they are.

"Uncertainty-aware guidance": the guidance is classifier-free guidance (the authors' w is guidance_scale - 1), what is
aware of uncertainty is which items are left out of the condition (`unblur.pairings.thompson`). Where their code
(DreamMiss.py of maowenyu-11/TDM) differs it is not followed: padding takes part in its softmax, after a removal it goes
on with the probabilities of the places as they were, and the noise of its steps is that of other steps.
"""

from unblur.models.diffusion import dreamrec
from unblur.parts import defaults


@defaults(pairing="thompson", guidance_scale=7.0, lr=1e-2, T=1000, sampler="ddim", reverse_steps=11)
class Config(dreamrec.Config):
    """The authors' settings for Zhihu: T 1000 in strides of 100, w 6; both rates .1."""


class Model(dreamrec.Model):
    config_class = Config
