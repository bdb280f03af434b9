"""Every message with which a command can end says what would be right: read in the source, where all of them are."""

import ast
from pathlib import Path

import pytest
from tests.helpers.remedies import WAY_OUT, assert_mendable

import unblur

PACKAGE = Path(unblur.__file__).parent
COMPOSED = "{}"


def literal(node: ast.expr) -> str:
    """The text of a message; what is put into it is {}."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(map(literal, node.values))
    if isinstance(node, ast.BinOp):
        return literal(node.left) + literal(node.right)
    return COMPOSED


def messages() -> list[tuple[str, str]]:
    found = []
    for file in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            named = isinstance(node, ast.Call) and getattr(node.func, "id", "")
            if named in ("UserError", "RunFailed") and node.args:  # type: ignore[attr-defined]
                place = f"{file.relative_to(PACKAGE)}:{node.lineno}"  # type: ignore[attr-defined]
                found.append((place, literal(node.args[0])))  # type: ignore[attr-defined]
    return found


def test_every_message_says_what_would_be_right() -> None:
    found = messages()
    assert len(found) > 150
    # one that ends in what is put into it leaves that to whoever composed it
    silent = [
        (place, text) for place, text in found if not text.rstrip(".").endswith(COMPOSED) and not WAY_OUT.search(text)
    ]
    assert not silent, silent


@pytest.mark.parametrize(
    ("status", "err"), [(2, "error: x.csv is wrong"), (1, "Traceback (most recent call last):\n use y"), (2, "")]
)
def test_a_message_without_a_way_out_is_noticed(status: int, err: str) -> None:
    with pytest.raises(AssertionError):
        assert_mendable(status, "", err)
