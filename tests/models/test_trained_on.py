"""A saved model meets no other data than those that it was trained on."""

import dataclasses

import pytest
from tests.helpers.synthetic import communities

from unblur import models
from unblur.errors import UserError
from unblur.models import trained_on

DATASET = communities()


@pytest.fixture
def folder(tmp_path):
    model = models.model_class("popularity")(
        models.configure("popularity", {}, "a test"), DATASET.n_users, DATASET.n_items
    )
    model.fit(DATASET)
    trained_on.save(model, tmp_path / "model", DATASET)
    return tmp_path / "model"


def test_a_model_is_loaded_for_its_own_data(folder):
    assert trained_on.load(folder, DATASET).n_items == DATASET.n_items


def test_other_data_of_the_same_size_are_refused_with_both_digests(folder):
    other = dataclasses.replace(DATASET, digest="feed" * 16)
    with pytest.raises(
        UserError, match=rf"popularity was trained on .* {DATASET.digest[:12]}, and these .*feedfeedfeed:"
    ):
        trained_on.load(folder, other)


@pytest.mark.parametrize("content", [None, "", "{}", "[]", '{"digest": 7}'])
def test_a_model_that_does_not_say_is_refused(folder, content):
    mark = folder / trained_on.MARK
    mark.unlink() if content is None else mark.write_text(content)
    with pytest.raises(UserError, match=f"{DATASET.digest[:12]}"):
        trained_on.load(folder, DATASET)
