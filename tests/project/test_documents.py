"""YAML documents: what a number is, mistakes named by file, line and field, and hostile files, which end soon."""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, model_validator

from unblur.documents import MAX_BYTES, Document, configured, read
from unblur.errors import UserError

ROOT = Path(__file__).parents[2]


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)
    low: float
    high: float = 1

    @model_validator(mode="after")
    def _ordered(self) -> "Part":
        if self.low > self.high:
            raise ValueError("low is above high")
        return self


class Whole(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)
    name: str
    lr: float = 0.1
    dims: list[int] = []
    parts: dict[str, Part] = {}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *[(text, 1e-4) for text in ("1e-4", "1E-4", "1.0e-4", "0.0001", ".0001", "+1e-04")],
        ("1e5", 100000.0),
        ("-3", -3),
        ("010", 10),
        ("5.", 5.0),
        ("-.inf", float("-inf")),
        *[(text, text) for text in ("nan", "inf", "NaN", "1e", "e5", "1_000", "0x10", "1:30", "2020-01-01", "yes")],
        ("true", True),
        ("null", None),
        ("", None),
        ("'1'", "1"),
        ("[1e-3, two]", [0.001, "two"]),
    ],
)
def test_values(text: str, value: Any) -> None:
    assert Document("x", f"a: {text}").content == {"a": value}
    assert type(Document("x", f"a: {text}").content["a"]) is type(value)


WHOLE, FINITE = st.integers(-(2**53), 2**53), st.floats(allow_nan=False, allow_infinity=False)


@given(
    st.recursive(
        st.none() | st.booleans() | WHOLE | FINITE | st.text(max_size=20),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4),
        max_leaves=20,
    ).filter(lambda value: len(json.dumps(value)) < 2000)
)
@example("\U0001f600")
@settings(deadline=None)
def test_what_is_json_is_read_as_json(value: Any) -> None:
    """Configurations are often written by programs. Deep ones are refused; so is the key of a merge."""
    try:
        found = Document("x", json.dumps(value)).content
    except UserError as error:
        assert "nesting deeper" in str(error) or "merge keys" in str(error)
    else:
        assert found == value


@pytest.mark.parametrize("file", sorted((ROOT / "search_spaces").rglob("*.yaml")), ids=lambda file: file.stem)
def test_shipped_documents_mean_what_every_reader_of_yaml_reads(file: Path) -> None:
    assert read(file).content == yaml.safe_load(file.read_text())


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("lr: 1\nlr: 2", "x.yaml:2: 'lr' is given twice"),
        ("parts:\n  a: {low: 1, 'low': 2}", "x.yaml:2: 'low' is given twice"),
        ("lr: 1\nlr2: 1", "x.yaml:2: lr2: unknown field 'lr2'. Did you mean 'lr'?"),
        ("parts:\n  a: {low: 0}\n  b:\n    low: 0\n    hihg: 2", "x.yaml:5: parts.b.hihg: unknown field 'hihg'."),
        ("parts:\n  a:\n    high: 2", "x.yaml:2: parts.a.low: is missing"),
        ("parts:\n\n  a: {low: 3}", "x.yaml:3: parts.a: low is above high"),
        ("dims:\n- 1\n- two", "x.yaml:3: dims.1: Input should be a valid integer"),
        ("lr: nan", "x.yaml:1: lr: Input should be a finite number (found 'nan')"),
        ("lr: fast", "x.yaml:1: lr: Input should be a valid number, unable to parse string as a number (found 'fast')"),
        ("lr: 1\nname: z", "x.yaml:2: name: follows from the file's name; leave it out"),
        ("- 1", "x.yaml:1: found list, expected fields and their values"),
        ("", "x.yaml:1: found NoneType, expected fields and their values"),
        ("1: 2", "x.yaml:1: 1: found a number, expected the name of a field"),
        ("a: &x 1\nb: *x", "x.yaml:1: anchors (&) are not allowed"),
        ("a: 1\nb: *x", "x.yaml:2: aliases are not allowed"),
        ("a: {<<: {b: 1}}", "x.yaml:1: merge keys (<<) are not allowed"),
        ("a:\n  !!python/object/apply:os.system ['true']", "x.yaml:2: tags (!) are not allowed"),
        ("a: !!binary aGk=", "x.yaml:1: tags (!) are not allowed"),
        ("? [a]\n: 1", "x.yaml:1: a key must be a word or a number"),
        ("a: 99999999999999999999", "x.yaml:1: the number is too large"),
        ("a: 1\n\x00", "x.yaml:2: not valid YAML: special characters are not allowed"),
        ("a: [1\nb", "x.yaml:2: not valid YAML: "),
        ('a: "\\ud83d"', "x.yaml:1: half of a character"),
        ("a: 1\n---\nb: 2", "x.yaml:2: not valid YAML: "),
    ],
)
def test_mistakes_name_file_line_and_field(text: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text(text)
    with pytest.raises(UserError) as caught:
        read(tmp_path / "x.yaml", "x.yaml").parse(Whole, {"parts": Part}, name="x")
    assert str(caught.value).startswith(says)


def test_files_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"a: \xff")
    for name, says in (("absent", "No such file"), (".", "Is a directory"), ("binary", "no text in UTF-8")):
        with pytest.raises(UserError, match=says):
            read(tmp_path / name)


def test_a_configuration_from_a_file_and_flags(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("name: a\nlr: 1e-3\ndims: [1]\n")
    found = configured(Whole, ["lr=1e-4", "dims=[2, 3]"], file)
    assert (found.name, found.lr, found.dims) == ("a", 1e-4, [2, 3])
    assert configured(Whole, ["name=x=y"], None).name == "x=y"
    for assignments, says in (
        (["lr=fast"], "--set lr: Input should be a valid number"),
        (["lr=nan"], "--set lr: Input should be a finite number"),
        (["dims=[1,x]"], "--set dims: Input should be a valid integer"),
        (["l=1"], "--set l: unknown field 'l'"),
        (["lr"], "--set lr: expected name=value"),
        (["=1"], "--set =1: expected name=value"),
        (["lr=[1"], "--set lr=[1: '[1' is no value"),
    ):
        with pytest.raises(UserError) as caught:
            configured(Whole, assignments, file)
        assert str(caught.value).startswith(says)
    file.write_text("name: a\n\nlr: fast\n")
    with pytest.raises(UserError, match=r"^--config .*c.yaml:3: lr: .*found 'fast'"):
        configured(Whole, ["dims=[1]"], file)


HOSTILE = [
    "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n",
    "a: " + "[" * 60_000,
    "a: " + "{b: " * 15_000,
    "- " * 30_000,
    "? " * 30_000,
    "a: " + "1" * 60_000,
    "a: " + "'" * 60_000,
    "a: |\n" + " x\n" * 20_000,
    "".join(f"k{i}: 1\n" for i in range(7_000)),
    "".join(f"lr: {i}\n" for i in range(7_000)),
    "parts: {" + ", ".join(f"p{i}: 0" for i in range(7_000)) + "}",
    "x" * 60_000 + ": 1",
    "lr: " + "y" * 60_000,
    "lr: [" + "1e5, " * 12_000 + "]",
    "%" * 60_000,
    "&" * 60_000,
    "a: !" + "t" * 60_000,
    "\ufeff\t\x85\u2028" * 9_000,
]


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: text[:12])
def test_hostile_documents_end_soon_in_a_short_message(text: str) -> None:
    started = time.process_time()
    with pytest.raises(UserError) as caught:
        Document("x", text).parse(Whole, {"parts": Part}, name="x")
    assert len(str(caught.value)) < 25_000 and str(caught.value).count("\n") <= 10
    assert time.process_time() - started < 20


def test_a_huge_file_is_not_read(tmp_path: Path) -> None:
    """In a process that has no more memory than Python and the libraries need."""
    with (tmp_path / "huge.yaml").open("wb") as stream:
        stream.truncate(1 << 33)
    limit = f"import resource; resource.setrlimit(resource.RLIMIT_AS, ({2 << 30}, {2 << 30}))"
    code = f"{limit}\nfrom pathlib import Path; from unblur.documents import read; read(Path('huge.yaml'))"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert "UserError: huge.yaml: has at most 64 KiB, found more" in done.stderr


TEXTS = st.text(max_size=200) | st.text("ab:-[]{}&*!|>?#%,'\"\n\t 01.eE<~", max_size=200)


@given(TEXTS)
@example("a: b: c")
@example("<<: 1")
@settings(deadline=None, max_examples=400)
def test_any_text_is_a_value_or_one_short_error(text: str) -> None:
    try:
        content = Document("x", text).content
    except UserError as error:
        assert str(error).startswith("x") and len(str(error)) < 400
    else:
        assert isinstance(content, dict | list | str | int | float | None)
    try:
        Document("x", text).parse(Whole, {"parts": Part}, name="x")
    except UserError as error:
        assert str(error).startswith("x:")


@given(st.binary(max_size=300))
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "file").write_bytes(data)
    try:
        read(tmp_path / "file", "x")
    except UserError as error:
        assert str(error).startswith("x:") and len(str(error)) < 400


def test_the_limit_is_on_bytes(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a: " + "x" * (MAX_BYTES - 3))
    assert len(read(tmp_path / "file").content["a"]) == MAX_BYTES - 3
    (tmp_path / "file").write_text("a: " + "x" * (MAX_BYTES - 2))
    with pytest.raises(UserError, match="at most 64 KiB"):
        read(tmp_path / "file")
