"""The registered model as MLflow runs it: histories of raw item ids in, the top K raw item ids out.

MLflow copies this file into the registered model and runs the copy, so that nothing is pickled; the work is done by
the `unblur` that lies in the model beside it. Artifacts: `model`, the folder that `Model.save` wrote,
and `items`, the catalogue.
"""

import json
from pathlib import Path
from typing import Any

from mlflow.exceptions import MlflowException
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel

from unblur import models
from unblur.errors import UserError
from unblur.models.serving import Answer, Recommends, ServedModel


class TopK(PythonModel):
    """`predict([["id1", "id2"], ...], params={"k": 10})`: K item ids per history, as `ServedModel.recommend` says.

    params: `k`, `exclude`, and of a guided model `guidance_scale`.
    """

    served: Recommends

    def load_context(self, context: Any) -> None:
        items: list[str] = json.loads(Path(context.artifacts["items"]).read_text())
        self.served = ServedModel(models.load(Path(context.artifacts["model"])), items)

    def predict(self, model_input: list[list[str]], params: dict[str, Any] | None = None) -> Answer:
        asked = params or {}
        scale, exclude = asked.get("guidance_scale"), [str(item) for item in asked.get("exclude", ())]
        try:
            return self.served.recommend(
                model_input, int(asked.get("k", 10)), None if scale is None else float(scale), exclude
            )
        except UserError as error:  # a server answers it to the client, and without the traceback
            raise MlflowException.invalid_parameter_value(str(error)) from None


set_model(TopK())
