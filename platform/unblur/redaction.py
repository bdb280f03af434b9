"""Redaction of credentials: passwords, tokens and keys are cut out of whatever is printed, logged or recorded."""

import json
import logging
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl, quote, quote_plus, unquote, unquote_plus

MARK = "***"
_KEY = "(?:access|secret|api|private|account|auth)_?key(?:_?id)?"
_NAME = f"(?:pass(?:word|wd|phrase)?|pwd|secret|token|credentials?|signature|{_KEY})"

# What urllib3 takes for credentials: all before the last @ of the authority, which ends at / ? or #. A password with a
# raw slash is none to it, but it is what was typed; "host:5000/a@b" is a port and a path.
_IN_WEB = re.compile(r"(?i)(https?://)(?:[^/?#\n]*@|(?![^\s:/?#@]*(?::\d*)?(?:[\s/?#]|$))[^\s:/?#]*:[^\s]*@)")
# What SQLAlchemy takes for them: a name without : and /, then all up to the next @, be it a quote, a slash or a space.
# What follows up to the last @ of the word is the rest of a password with a raw @.
_IN_OTHER = re.compile(
    r"(?i)(?<![\w+.-])((?!https?:)[a-z][\w+.-]*://)[^:/\n@]*(?:@[^:/\n@]*)*(?::[^@\n]*)?@(?:[^\s@]*@)*"
)
# A value in a query ends at the next & alone; one that was cut out before is left, with the words behind it.
_IN_QUERY = re.compile(rf"(?i)([?&;][^=&\s?]*{_NAME}[^=&\s]*=)(?!\*\*\*(?:[\s&'\"),.:;]|$))[^&\n]*")
_VALUE = r"(?:\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'|[^\s,;&]+)"
_ASSIGNED = re.compile(rf"(?i)(?<![?&;\w])([\w.-]*{_NAME}[\"']?\s?=\s?|[\"'][\w.-]*{_NAME}[\"']\s?:\s?){_VALUE}")
_IN_ENVIRONMENT = re.compile(rf"(?<![?&;\w])([A-Z][A-Z0-9_]*(?i:{_NAME}):\s?){_VALUE}")
_AWS_KEY_ID = re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b")

PLACES = {"PWD", "OLDPWD"}
"""Variables with the working directory, which is no password."""

_remembered: set[str] = set()
"""Secrets of this process, in every spelling. Shared, since an error may come from any library at any place."""


def redact(text: str) -> str:
    """The text without credentials in addresses, queries, assignments, and without any that was remembered.

    Rather too much is cut out than too little.
    """
    for secret in sorted(_remembered, key=len, reverse=True):
        text = text.replace(secret, MARK)
    text = _IN_OTHER.sub(r"\1", _IN_WEB.sub(r"\1", text))
    text = _IN_QUERY.sub(rf"\1{MARK}", text)
    text = _IN_ENVIRONMENT.sub(rf"\1{MARK}", _ASSIGNED.sub(rf"\1{MARK}", text))
    return _AWS_KEY_ID.sub(MARK, text)


def redacted(value: Any) -> Any:
    """The same of every text in nested dictionaries and lists."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, Mapping):
        return {name: redacted(each) for name, each in value.items()}
    return [redacted(each) for each in value] if isinstance(value, list | tuple) else value


def remember(texts: Iterable[str]) -> None:
    """Cut out the passwords of these addresses from now on wherever they stand, also alone and in other spellings."""
    for text in texts:
        for secret in secrets_in(text):
            if _telling(secret):
                _remembered.update(_spellings(secret))


def remember_environment(environment: Mapping[str, str] = os.environ) -> None:
    """`remember` what variables that are called a password, token or key hold, and addresses in any other."""
    remember(value for value in environment.values() if "://" in value)
    for name, value in environment.items():
        if name not in PLACES and re.search(f"(?i){_NAME}$", name) and _telling(value):
            _remembered.update(_spellings(value))


def secrets_in(address: str) -> Iterator[str]:
    """The passwords in an address, as SQLAlchemy and urllib3 read it, and those in its query."""
    _, found, rest = address.partition("://")
    if not found:
        return
    database = re.match(r"[^:/]*:([^@]*)@", rest, re.DOTALL)
    web = re.match(r"[^/?#:]*:([^/?#]*)@", rest, re.DOTALL)
    yield from (match[1] for match in (database, web) if match and match[1])
    for name, value in parse_qsl(rest.partition("?")[2]):
        if re.search(f"(?i){_NAME}", name):
            yield value


def _telling(secret: str) -> bool:
    """Whether a secret may be replaced wherever it stands; one like `postgres` would take the sense from messages.

    In addresses and assignments those are cut out all the same.
    """
    return len(secret) >= 6 and not re.fullmatch(r"[a-z]+|\d+|[A-Z]+", secret)


def _spellings(secret: str) -> set[str]:
    plain = {secret, unquote(secret), unquote_plus(secret)}
    coded = {spell(each) for each in plain for spell in (quote, quote_plus, lambda text: quote(text, safe=""))}
    escaped = {form for each in plain for form in (repr(each)[1:-1], json.dumps(each)[1:-1])}
    shell = {each.replace("'", "'\"'\"'") for each in plain}  # as shlex.quote has it
    return {each for each in plain | coded | escaped | shell if len(each) >= 6}


class Formatter(logging.Formatter):
    """Log lines without credentials, those of tracebacks included."""

    def format(self, record: logging.LogRecord) -> str:
        return redact(super().format(record))
