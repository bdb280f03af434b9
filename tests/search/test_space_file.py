"""Search space files: what they may say, what is refused and where, and that only valid Configs come out."""

import random
import re
from pathlib import Path
from typing import Literal, Self

import optuna
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, model_validator

from unblur.errors import UserError
from unblur.models import config_class
from unblur.search.space_file import SearchSpace, load_space

SPACES_FOLDER = Path(__file__).parents[2] / "search_spaces"
OTHERS = {"ablations", "papers", "tuned"}  # studies, rows of papers and single configurations
SPACES = sorted(
    file for file in SPACES_FOLDER.rglob("*.yaml") if file.relative_to(SPACES_FOLDER).parts[0] not in OTHERS
)


class Config(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    lr: float = 1e-3
    dims: tuple[int, ...] = (1000,)
    T: int = 5
    denoiser: Literal["concat", "embedding"] = "concat"
    embedding_dim: int = 64
    noise_min: float = 0.001
    noise_max: float = 0.1
    reweight: bool = True

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.noise_min >= self.noise_max:
            raise ValueError("noise_min must be below noise_max")
        return self


GOOD = """\
model: toy
parameters:
  lr: {type: float, low: 1e-5, high: 1e-2, log: true}
  dims: {type: choice, values: [[600], [1000], [200, 600]]}
  denoiser: {type: choice, values: [concat, embedding]}
  embedding_dim: {type: int, low: 16, high: 256, log: true, when: {denoiser: embedding}}
  reweight: {type: choice, values: [true, false]}
fixed: {T: 7}
enqueue:
  - {lr: 1e-2, dims: [200, 600], denoiser: embedding, embedding_dim: 16}
"""


def load(folder: Path, text: str) -> SearchSpace:
    path = folder / "space.yaml"
    path.write_text(text, encoding="utf-8")
    return load_space(path, Config)


def test_what_is_drawn(tmp_path: Path) -> None:
    space = load(tmp_path, GOOD)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    seen = set()
    for _ in range(50):
        trial = study.ask()
        params = space.suggest(trial)
        Config(**params)
        assert params["T"] == 7 and 1e-5 <= params["lr"] <= 1e-2
        assert params["dims"] in ([600], [1000], [200, 600])
        assert ("embedding_dim" in params) == (params["denoiser"] == "embedding")
        assert list(params) == ["T", *(name for name in space.parameters if name in params)]
        assert space.decode(trial.params) == params, "the record gives the configuration back"
        assert all(isinstance(value, str | int | float | bool) for value in trial.params.values())
        seen.add(str(params["dims"]))
        study.tell(trial, 0.0)
    assert len(seen) == 3


def test_integer_bounds_are_inclusive(tmp_path: Path) -> None:
    space = load(tmp_path, "model: toy\nparameters:\n  T: {type: int, low: 1, high: 3}\n")
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    assert {space.suggest(study.ask())["T"] for _ in range(40)} == {1, 2, 3}


@pytest.mark.parametrize(
    ("bad", "line", "says"),
    [
        ("lr: {type: float, low: 1, hgih: 2}", 3, "parameters.lr.hgih: unknown field 'hgih'. Did you mean 'high'?"),
        ("learning_rate: {type: float, low: 1, high: 2}", 3, "unknown parameter 'learning_rate'"),
        ("lr: {type: float, low: 2, high: 1}", 3, "the wrong way round: low 2 is above high 1"),
        ("lr: {type: float, low: 2, high: 2}", 3, "the range is empty"),
        ("lr: {type: float, low: 0, high: 2, log: true}", 3, "a log scale needs low above 0"),
        ("lr: {type: float, low: .nan, high: 2}", 3, "finite number"),
        ("lr: {type: float, low: 0, high: 1, step: 0.3}", 3, "whole steps"),
        ("lr: {type: float, low: 0}", 3, "parameters.lr.high: is missing"),
        ("lr: {type: double, low: 0, high: 1}", 3, "'float', 'int', 'choice'"),
        ("T: {type: int, low: 1.5, high: 2}", 3, "parameters.T.low"),
        ("T: {type: int, low: 0, high: 99999999999999999999}", 3, "too large"),
        ("denoiser: {type: choice, values: []}", 3, "at least 1 item"),
        ("dims: {type: choice, values: [[600], [600]]}", 3, "given twice"),
        ("dims: {type: choice, values: [{a: 1}]}", 3, "not a plain value"),
        ("T: {type: int, low: 1, high: 3, when: {denoser: concat}}", 3, "unknown parameter 'denoser'"),
        ("T: {type: int, low: 1, high: 3, when: {T: 1}}", 3, "only name parameters above 'T'"),
        ("T: {type: int, low: 1, high: 3, when: {lr: 1}}\n  lr: {type: float, low: 1, high: 2}", 3, "move 'lr' up"),
        (
            "denoiser: {type: choice, values: [concat]}\n  T: {type: int, low: 1, high: 3, when: {denoiser: [x]}}",
            4,
            "denoiser can never be 'x'",
        ),
        ("T: {type: int, low: 1, high: 3}\nfixed: {T: 2}", 4, "also under `parameters`"),
        ("T: {type: int, low: 1, high: 3}\nfixed: {TT: 2}", 4, "unknown parameter 'TT'"),
        (
            "T: {type: int, low: 1, high: 3}\nfixed: {lr: fast}",
            4,
            "fixed.lr: the model's Config refuses a combination: Input should be a valid number",
        ),
        ("T: {type: int, low: 1, high: 3}\nenqueue:\n  - {T: 9}", 5, "9 lies outside"),
        ("T: {type: int, low: 1, high: 3}\nenqueue:\n  - {S: 9}", 5, "unknown parameter 'S'"),
        ("T: {type: int, low: 1, high: 3}\n  T: {type: int, low: 1, high: 3}", 4, "'T' is given twice"),
        ("T: {type: int, low: 1, high: 3}\nfixd: {}", 4, "Did you mean 'fixed'?"),
        ("denoiser: {type: choice, values: [concat, transformer]}", 3, "'concat' or 'embedding'"),
        ("T: [1, 2", 4, "not valid YAML"),
        ("T: !!python/object/apply:os.system ['true']", 3, "tags (!) are not allowed"),
        ("T: &a {type: int, low: 1, high: 3}\nfixed: *a", 3, "anchors (&) are not allowed"),
        ("T: " + "[" * 60000, 3, "nesting deeper"),
    ],
)
def test_mistakes_name_file_line_and_field(tmp_path: Path, bad: str, line: int, says: str) -> None:
    with pytest.raises(UserError) as caught:
        load(tmp_path, f"model: toy\nparameters:\n  {bad}\n")
    assert f"space.yaml:{line}: " in str(caught.value) and says in str(caught.value), str(caught.value)


def test_enqueued_value_whose_condition_does_not_hold(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"enqueue\.0\.embedding_dim: its `when` does not hold"):
        load(tmp_path, GOOD.replace("denoiser: embedding, embedding_dim: 16", "denoiser: concat, embedding_dim: 16"))


@pytest.mark.parametrize(
    "text", ["", "[]", "a", "model: toy", "model: toy\nparameters: 3", "1: 2", "\x00", "? [a]\n: 1"]
)
def test_other_shapes_are_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(UserError, match=re.escape("space.yaml")):
        load(tmp_path, text)


def test_missing_and_huge_files(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"absent\.yaml: cannot be read: No such file"):
        load_space(tmp_path / "absent.yaml", Config)
    with pytest.raises(UserError, match="at most 64 KiB"):
        load(tmp_path, "model: " + "x" * 70_000)


def test_overlapping_ranges_are_found_and_shown(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"noise_min must be below noise_max \(.*noise_min=0\.2, noise_max=0\.1"):
        load(
            tmp_path,
            "model: toy\nparameters:\n"
            "  noise_min: {type: float, low: 1e-6, high: 0.2, log: true}\n"
            "  noise_max: {type: float, low: 0.1, high: 9e9}\n",
        )


@given(st.text(max_size=300) | st.binary(max_size=300).map(lambda b: b.decode("latin-1")))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200, deadline=None)
def test_hostile_text_ends_in_a_user_error(tmp_path: Path, text: str) -> None:
    path = tmp_path / "space.yaml"
    path.write_text(text, encoding="utf-8", errors="replace")
    with pytest.raises(UserError):
        load_space(path, Config)


@given(low=st.floats(1e-6, 1e6), high=st.floats(1e-6, 1e6), log=st.booleans(), seed=st.integers(0, 99))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_a_float_range_is_accepted_exactly_when_ordered(
    tmp_path: Path, low: float, high: float, log: bool, seed: int
) -> None:
    text = f"model: toy\nparameters:\n  lr: {{type: float, low: {low!r}, high: {high!r}, log: {str(log).lower()}}}\n"
    if low >= high:
        with pytest.raises(UserError):
            load(tmp_path, text)
        return
    drawn = load(tmp_path, text).parameters["lr"].sample(random.Random(seed))
    assert low <= drawn <= high


@pytest.mark.parametrize("path", SPACES, ids=lambda path: path.stem)
def test_shipped_spaces_fit_their_models(path: Path) -> None:
    space = load_space(path, config_class(path.stem))
    assert space.model == path.stem
    parameters = space.parameters
    if "noise_min" in parameters:
        assert max(parameters["noise_min"].corners) < min(parameters["noise_max"].corners), "min < max by construction"
        assert space.enqueue, "sensible starting configurations"
    affine = config_class(path.stem).model_fields.get("denoiser")  # whose chain costs as much with any number of steps
    if affine is None or affine.default != "linear":
        assert "T" not in parameters or max(parameters["T"].corners) <= 10


def test_cfg_diffrec_reaches_both_regimes() -> None:
    parameters = load_space(SPACES_FOLDER / "cfg_diffrec.yaml", config_class("cfg_diffrec")).parameters
    generative = {
        "noise_scale": 1.0,
        "noise_min": 0.1,
        "noise_max": 0.99,
        "t_prime_share": 1.0,
        "condition_dropout": 0.5,
    }
    copying = {"noise_scale": 1e-4, "noise_min": 1e-4, "t_prime_share": 0.0, "condition_dropout": 0.0}
    for regime in (generative, copying):
        assert all(parameters[name].contains(value) for name, value in regime.items())
    assert parameters["guidance_scale"].corners == [0, 4]


def test_a_parameter_can_be_fixed_after_loading() -> None:
    space = SearchSpace.model_validate(
        {
            "model": "ease",
            "parameters": {
                "l2": {"type": "float", "low": 1, "high": 2},
                "w_min": {"type": "float", "low": 0, "high": 1},
            },
            "enqueue": [{"l2": 1.5, "w_min": 0.3}],
        }
    )
    fixed = space.fixing({"w_min": 1.0, "w_max": 1.0})
    assert list(fixed.parameters) == ["l2"] and fixed.fixed == {"w_min": 1.0} and fixed.enqueue == [{"l2": 1.5}]
    assert fixed.assemble(lambda name, parameter: parameter.sample(random.Random(0)))["w_min"] == 1.0
