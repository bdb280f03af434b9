"""Letters say exactly which pairs differ."""

from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from unblur.reporting.letters import letters


def test_known_answer() -> None:
    different = [("a1", "c3"), ("c3", "b2"), ("a1", "d4")]
    assert letters(["a1", "b2", "c3", "d4"], different) == {"a1": "a", "b2": "ab", "c3": "c", "d4": "bc"}
    assert letters(["x", "y"], []) == {"x": "a", "y": "a"}
    assert letters(["x", "y", "z"], [("x", "y"), ("x", "z"), ("y", "z")]) == {"x": "a", "y": "b", "z": "c"}


@given(st.data())
def test_two_models_share_a_letter_unless_they_differ(data: st.DataObject) -> None:
    models = [f"m{i}" for i in range(data.draw(st.integers(1, 7)))]
    pairs = list(combinations(models, 2))
    different = data.draw(st.lists(st.sampled_from(pairs), unique=True)) if pairs else []
    found = letters(models, different)
    assert found[models[0]].startswith("a")
    for one, other in pairs:
        assert bool(set(found[one]) & set(found[other])) == ((one, other) not in different)
