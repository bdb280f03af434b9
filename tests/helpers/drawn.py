"""Drawn ratings, and what is in a part of a split: for the tests of what low ratings become."""

from hypothesis import strategies as st

ratings = st.lists(
    st.tuples(st.integers(0, 4), st.integers(0, 40), st.integers(1, 5), st.integers(0, 60)),
    min_size=20,
    max_size=150,
    unique_by=lambda row: row[:2],
)


def pairs(frame, part):
    """The users and items of a part."""
    return set(map(tuple, frame.loc[frame.part == part, ["user", "item"]].to_numpy().tolist()))
