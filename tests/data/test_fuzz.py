"""Whatever lies in a file, a source raises a UserError or loads it; nothing else ever comes out."""

import contextlib
import gzip
import zipfile

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from unblur.data import sources
from unblur.data.request import DataRequest
from unblur.data.sources import source
from unblur.errors import UserError

FORMS = [("amazon", "Toys.txt"), ("amazon", "Toys.csv"), ("amazon", "Toys_rated.csv.gz"), ("amazon", "Toys_5.json.gz")]
FORMS += [("movielens", "ml-1m.zip"), ("table", "mine.parquet"), ("table", "mine.tsv"), ("table", "mine.csv.gz")]
pieces = st.sampled_from(
    [b"\n", b",", b"::", b" ", b"\t", b'"', b"1", b"5", b"0", b"-", b"\0", b"\xff", b"{", b"}", b"\r"]
)
noise = st.one_of(st.binary(max_size=300), st.lists(pieces, max_size=80).map(b"".join))


def never_anything_but_user_error(name, files):
    with contextlib.suppress(UserError):
        source(name).load(files, DataRequest())


@pytest.mark.parametrize("name", sources.names())
@given(content=noise, at=st.floats(0, 1), which=st.integers(0, 2))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_noise_inside_a_good_file(name, tmp_path, content, at, which):
    files = source(name).example(tmp_path)
    if not files:
        pytest.skip("generated")
    file = files[which % len(files)]
    good = file.read_bytes()
    cut = int(at * len(good))
    file.write_bytes(good[:cut] + content + good[cut + len(content) // 2 :])
    never_anything_but_user_error(name, files)


@pytest.mark.parametrize(("name", "file"), FORMS)
@given(content=noise, packed=st.booleans())
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_noise_instead_of_a_file(name, file, tmp_path, content, packed):
    path = tmp_path / file
    if packed and path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("ml-1m/ratings.dat", content)
    else:
        path.write_bytes(gzip.compress(content) if packed and path.suffix == ".gz" else content)
    never_anything_but_user_error(name, [path])
