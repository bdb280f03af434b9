"""DiffRec's network (Wang et al. 2023, section 3.2.3): no condition."""

from unblur.denoisers.base import Layers


class Network(Layers):
    """An MLP on [x_t, time embedding]."""

    GUIDED = False
