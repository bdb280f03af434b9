"""Command lines as they are written for people."""

import inspect
import re
import shlex
from typing import Any

import tyro

from unblur import cli, commands

BLOCK = re.compile(r"^( *)```sh.*?\n(.*?)^ *```", re.DOTALL | re.MULTILINE)
START = re.compile(r"(?:^|-- |&& |')(?=(?:unblur [a-z]|python jobs/))")


def read(line: str) -> Any:
    """The options of a command line as the program reads it; a usage error exits, another is a UserError."""
    program, *words = shlex.split(line, comments=True)
    name, *words = words if program == "unblur" else [words[0].removeprefix("jobs/").removesuffix(".py"), *words[1:]]
    options = inspect.signature(commands.ALL[name]).parameters["options"].annotation
    return tyro.cli(options, args=words, config=cli.FLAGS, prog=line)


def commands_in(text: str) -> list[str]:
    """The commands of ours in the shell blocks of a page, also those that are handed to `ray job submit`."""
    lines = [line for _, block in BLOCK.findall(text) for line in block.replace("\\\n", " ").splitlines()]
    found = (START.split(line.strip())[-1] for line in lines if START.search(line.strip()))
    return [re.sub(r"\s{2,}", " ", line.partition("'")[0] if line.count("'") == 1 else line) for line in found]
