"""The registered model as MLflow runs it: histories of raw item ids in, the top K raw item ids out.

MLflow copies this file into the registered model and runs the copy, so that nothing is pickled; the work is done by
the `unblur` that lies in the model beside it. Artifacts: `model`, the folder that `Model.save` wrote,
and `items`, the catalogue.
"""

import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from unblur import models
from unblur.data.dataset import History
from unblur.data.sequences import Sequences
from unblur.errors import UserError

BLOCK = 512  # users scored at once
log = logging.getLogger("unblur")


class TopK(PythonModel):
    """`predict([["id1", "id2"], ...], params={"k": 10})`: K item ids per user, best first, none of them seen before.

    A history is a list of raw item ids, oldest first. Ids outside the catalogue are ignored, with a warning that
    names them; a user without any known item gets what the model gives to an empty history. Raises UserError for k < 1.
    """

    def load_context(self, context: Any) -> None:
        self.model = models.load(Path(context.artifacts["model"]))
        self.items: list[str] = json.loads(Path(context.artifacts["items"]).read_text())
        self.column = {item: column for column, item in enumerate(self.items)}

    def predict(
        self, context: Any, model_input: list[list[str]], params: dict[str, Any] | None = None
    ) -> list[list[str]]:
        k = int((params or {}).get("k", 10))
        if k < 1:
            raise UserError(f"params: k = {k}, expected a number of items from 1 on")
        blocks = (model_input[first : first + BLOCK] for first in range(0, len(model_input), BLOCK))
        return [best for block in blocks for best in self.recommend(self.history(block), k)]

    def recommend(self, history: History, k: int) -> list[list[str]]:
        """The K best unseen items of each user."""
        # the row of a user that the model has not seen has no meaning, so that all users share one
        users = np.zeros(history.matrix.shape[0], dtype=np.int64)
        scores = self.model.score(history, users).detach().cpu().numpy().copy()
        scores[history.matrix.nonzero()] = -np.inf
        return [self.best(row, k) for row in scores]

    def best(self, scores: NDArray[np.float32], k: int) -> list[str]:
        """The K best items; fewer when the user has seen almost all of them."""
        columns = np.argsort(-scores, kind="stable")[:k]
        return [self.items[column] for column in columns if np.isfinite(scores[column])]

    def history(self, rows: Sequence[Sequence[str]]) -> History:
        """The histories with their order in time; in the matrix an item given twice counts where it came first."""
        unknown = {item for row in rows for item in row if item not in self.column}
        if unknown:
            named = ", ".join(sorted(map(str, unknown))[:10])
            log.warning("ignored %d item ids that are not in the catalogue: %s", len(unknown), named)
        events = [[self.column[i] for i in row if i in self.column] for row in rows]
        known = [np.array(list(dict.fromkeys(columns)), int) for columns in events]
        orders = [np.argsort(columns) for columns in known]  # the position in time of each column, columns sorted
        indices = np.concatenate([columns[order] for columns, order in zip(known, orders, strict=True)])
        starts = np.cumsum([0, *map(len, known)])
        matrix = csr_matrix((np.ones(len(indices), np.float32), indices, starts), shape=(len(rows), len(self.items)))
        every = np.array([column for columns in events for column in columns], dtype=np.int64)
        ends = np.cumsum([0, *map(len, events)])
        return History(matrix, np.concatenate(orders).astype(np.int32), events=Sequences(every, ends, len(self.items)))


set_model(TopK())
