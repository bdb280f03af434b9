"""A model in closed form by its name and parameters, as a field of another model's Config."""

from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, model_validator

from unblur import models
from unblur.errors import UserError
from unblur.models.base import Recommender


class Named(BaseModel):
    """One model; the parameters that are not given keep their defaults."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    ROLE: ClassVar[str]
    """What it is to be, and which models can be that, for messages."""

    model: str
    """Its name."""
    params: dict[str, Any] = {}
    """Its parameters."""

    @classmethod
    def admits(cls, known: type[Recommender[Any]]) -> bool:
        """Whether such a model can be what is asked for."""
        raise NotImplementedError

    @model_validator(mode="after")
    def _admitted(self) -> Self:
        try:
            if not self.admits(models.model_class(self.model)):
                raise ValueError(f"{self.model} cannot be {self.ROLE} can")
            self.config()
        except UserError as error:
            raise ValueError(str(error)) from None
        return self

    def config(self) -> Any:
        """Its Config; UserError where a parameter is wrong."""
        return models.configure(self.model, self.params, self.model)
