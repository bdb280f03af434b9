"""What a request to a served model may set."""

from pathlib import Path
from typing import Any

import pytest

from unblur import models
from unblur.tracking.model_package import dials


@pytest.mark.parametrize(
    ("name", "params", "asked"),
    [
        ("cfg_diffrec", {"guidance_scale": 3.0}, {"k": 10, "exclude": [""], "guidance_scale": 3.0}),
        ("diffrec", {}, {"k": 10, "exclude": [""]}),  # composed without guidance, which others of its kind have
    ],
)
def test_the_guidance_scale_is_asked_of_guided_models(
    name: str, params: dict[str, Any], asked: dict[str, Any], tmp_path: Path
) -> None:
    models.model_class(name)(models.configure(name, params, "test"), 4, 5).save(tmp_path)
    assert dials(tmp_path) == asked
