"""What models have in common that predict the next item at every place of a sequence."""

import numpy as np
from torch import Tensor

from unblur.models.sequential._sequence_model import C, Ids, SequenceModel


class NextItem(SequenceModel[C]):
    """What is known of a user is what the network makes of the newest place; it never looks ahead."""

    def known(self, items: Tensor) -> Tensor:
        return self.decode(self.encode(items)[:, -1])

    def examples(self, items: Ids, rng: np.random.Generator) -> tuple[Ids, Ids]:
        """Every item but the last, and what comes after it."""
        read = items[:, :-1]
        return read, np.where(read == self.n_items, self.n_items, items[:, 1:])
