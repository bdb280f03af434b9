"""A model in closed form by its name and parameters, as a field of another model's Config."""

from typing import Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, model_validator

from unblur import models
from unblur.errors import UserError
from unblur.models.base import Recommender
from unblur.parts import BEST


class Named(BaseModel):
    """One model; the parameters that are not given keep their defaults."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    ROLE: ClassVar[str]
    """What it is to be, and which models can be that, for messages."""

    model: str
    """Its name."""
    params: dict[str, Any] | Literal["best"] = {}
    """Its parameters; best: those that its own finished search on the same data has chosen."""

    @classmethod
    def admits(cls, known: type[Recommender[Any]]) -> bool:
        """Whether such a model can be what is asked for."""
        raise NotImplementedError

    @model_validator(mode="after")
    def _admitted(self) -> Self:
        try:
            if not self.admits(models.model_class(self.model)):
                raise ValueError(f"{self.model} cannot be {self.ROLE} can")
            if self.params != BEST:
                self.config()
        except UserError as error:
            raise ValueError(str(error)) from None
        return self

    def config(self) -> Any:
        """Its Config; UserError where a parameter is wrong, or where nobody has looked for the best ones."""
        if isinstance(self.params, str):
            raise UserError(f"{self.model}: params = {BEST} is for `unblur tune`, `train` and `ablate`; give them here")
        return models.configure(self.model, self.params, self.model)
