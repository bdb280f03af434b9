"""No credentials in what is shown: whatever characters a password is made of, wherever it stands."""

import json
import logging
import re
import shlex
import string
from collections.abc import Iterator
from urllib.parse import quote, quote_plus, urlsplit

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from sqlalchemy import make_url
from urllib3.util import parse_url

from unblur import redaction
from unblur.redaction import Formatter, redact, redacted, remember, remember_environment

PRINTABLE = "".join(each for each in string.printable if each.isprintable()) + "äß日"
INSIDE = "\x7c7q"
"""In the middle of every password, so that finding it means that the password was not cut out."""
passwords = st.builds(lambda before, after: f"{before}{INSIDE}{after}", *[st.text(PRINTABLE, max_size=12)] * 2)
around = st.sampled_from(["{}", "cannot open {}", "'{}'", '"{}" is away', "at ({})", "a=1 {}", "x://h/y, {}"])


@pytest.fixture(autouse=True)
def nothing_remembered(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(redaction, "_remembered", set())
    yield


@given(passwords, around)
@example(f"pa/ss{INSIDE}", "{}")
@example(f"it's a \"{INSIDE}", "'{}'")
@example(f"5432/{INSIDE}", "{}")
def test_a_password_that_sqlalchemy_takes(password: str, around: str) -> None:
    url = f"postgresql+psycopg://ann:{password}@db:5432/unblur"
    # behind a raw @ a space ends the word, and no driver goes on reading a password there
    assume(not re.search(r"@.*\s", password) and ("@" in password or make_url(url).password is not None))
    assert INSIDE not in redact(around.format(url))
    assert INSIDE not in redact(shlex.join(["--study-url", url]))


@given(passwords, around)
@example(f"p@s@{INSIDE}", "{}")
@example(f"5000 {INSIDE}", "{}")
def test_a_password_that_urllib3_takes(password: str, around: str) -> None:
    url = f"http://ann:{password}@h:5000/path"
    assume(not set(password) & set("/?#\\[]"))
    assert parse_url(url).host == "h"
    assert INSIDE not in redact(around.format(url))


@pytest.mark.parametrize("scheme", ["http", "https", "postgresql", "mysql+pymysql", "s3"])
@pytest.mark.parametrize("spell", [quote, quote_plus, lambda text: quote(text, safe="")])
@given(password=passwords)
def test_a_password_that_is_percent_encoded(scheme: str, spell: type[str], password: str) -> None:
    told = spell(password)
    assume(scheme not in ("http", "https") or "/" not in told)
    assert told not in redact(f"{scheme}://ann:{told}@h/db failed")


@pytest.mark.parametrize("name", ["password", "sslpassword", "secret_key", "access_key", "token", "X-Amz-Signature"])
@given(password=passwords, around=around)
def test_a_password_in_a_query(name: str, password: str, around: str) -> None:
    assume("&" not in password and not password.startswith("***"))  # so begins what was cut out before
    shown = redact(around.format(f"s3://bucket/x?{name}={password}&region=eu"))
    assert INSIDE not in shown and "region=eu" in shown


@pytest.mark.parametrize("name", ["AWS_SECRET_ACCESS_KEY", "MLFLOW_TRACKING_PASSWORD", "RAY_AUTH_TOKEN", "PGPASSWORD"])
@given(password=passwords)
def test_a_password_in_the_environment(name: str, password: str) -> None:
    quoted = password.replace("\\", "\\\\").replace("'", "\\'")
    for text in (f"{name}='{quoted}' cmd", json.dumps({name: password, "a": 1}), repr({name: password})):
        assert INSIDE not in redact(text)
    if not set(password) & set(" ,;&'\""):
        assert redact(f"{name}={password} python x.py --trials 3").endswith(" python x.py --trials 3")
        assert INSIDE not in redact(f"{name}={password}") + redact(f"{name}: {password}")


@given(passwords)
def test_a_password_that_was_given_to_us_is_cut_out_where_it_stands_alone(password: str) -> None:
    assume("@" not in password and "%" not in password and redaction._telling(password))
    remember([f"postgresql://ann:{password}@h/db"])
    for text in (password, repr(password), json.dumps(password), quote(password, safe=""), shlex.quote(password)):
        assert password.strip() not in redact(f"FATAL: {text} is no port")
    assert redacted({"a": [password, 1]})["a"][1] == 1 and password not in str(redacted({"a": [password]}))


def test_variables_that_hold_secrets_are_known() -> None:
    places = {"HOME": "/root/xyz1", "PWD": "/root/xyz1", "OLDPWD": "/root/xyz1"}
    remember_environment({"AWS_SECRET_ACCESS_KEY": "abc/Def+1", "STORE": "http://u:Pass12@h", **places})
    assert redact("abc/Def+1, Pass12 and /root/xyz1") == "***, *** and /root/xyz1"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("at http://u:p@h:1/x failed", "at http://h:1/x failed"),
        ("postgresql+psycopg://u:p%40@h/db?sslpassword=x&a=1", "postgresql+psycopg://h/db?sslpassword=***&a=1"),
        ("http://user:pa/ss@mlflow", "http://mlflow"),
        ("s3://AKIAABCDEFGHIJKLMNOP:a/b+c@bucket/x", "s3://bucket/x"),
        ("key AKIAABCDEFGHIJKLMNOP is unknown", "key *** is unknown"),
        ("host=h password='pa ss' dbname=d", "host=h password=*** dbname=d"),
    ],
)
def test_what_is_left(text: str, shown: str) -> None:
    assert redact(text) == shown == redact(shown)


@pytest.mark.parametrize(
    "text",
    [
        "sqlite:////a/b@c.db",
        "MLflow at http://h:5000 has no registered model models:/unblur-x@champion",
        "http://h:5000/#/experiments/1?filter=a@b",
        "s3://bucket/prefix@v1?endpoint_override=127.0.0.1:9000&scheme=http",
        "--storage s3://b?secret_key=*** cannot be written: access denied",
        "If it asks for a token (ray start with RAY_AUTH_MODE=token), set RAY_AUTH_MODE=token here too",
        'password authentication failed for user "ann"',
        "n_tokens=8 keyed=1 lr=0.1",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert redact(text) == text


def test_a_log_line_with_a_traceback() -> None:
    try:
        raise ValueError("postgresql://u:hun'ter@h/db")
    except ValueError as error:
        record = logging.LogRecord("x", 40, "f.py", 1, "no %s", ("http://u:p@h",), (type(error), error, None))
    told = Formatter().format(record)
    assert "hun" not in told and "postgresql://h/db" in told and told.startswith("no http://h")


def test_urls_are_read_as_their_drivers_do() -> None:
    assert set(redaction.secrets_in("postgresql://u:p/w@h/d?sslpassword=x")) == {"p/w", "x"}
    assert make_url("postgresql://u:p/w@h/d").password == "p/w" and urlsplit("http://u:p@w@h").password == "p@w"
    assert "p@w" in set(redaction.secrets_in("http://u:p@w@h"))
