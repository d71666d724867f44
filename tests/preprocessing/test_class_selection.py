"""Class selection: selected, merged, renamed."""

import numpy as np
import pytest
from promptseg.core.errors import UserError
from promptseg.preprocessing.class_selection import select

KNOWN = ("road", "car", "truck", "person")


def test_by_default_all_classes_are_unchanged():
    assert select(KNOWN, None, "k") == (KNOWN, None)


def test_selected_classes_are_numbered_in_the_order_of_the_list_and_the_rest_is_background():
    names, table = select(KNOWN, ["person", "road"], "k")
    assert names == ("person", "road")
    assert table[[0, 1, 2, 3, 4, 255]].tolist() == [0, 2, 0, 0, 1, 255] and table.dtype == np.uint8


def test_classes_are_merged_under_new_names():
    names, table = select(KNOWN, {"vehicle": ["car", "truck"], "human": ["person"]}, "k")
    assert names == ("vehicle", "human") and table[:5].tolist() == [0, 0, 1, 1, 2]


def test_the_background_may_be_a_class():
    names, table = select(("cat", "dog"), ["cat", "dog", "background"], "k")
    assert names == ("cat", "dog", "background") and table[:3].tolist() == [3, 1, 2] and table[255] == 255


@pytest.mark.parametrize(
    "wanted, message",
    [
        (["tree"], "params.yaml: k: unknown class 'tree'; known: background, road, car, truck, person"),
        ({"a": ["car"], "b": ["car"]}, "params.yaml: k: 'car' is listed in 'a' and in 'b'"),
        (["car", "car"], "params.yaml: k: 'car' is listed twice"),
    ],
)
def test_unknown_and_repeated_classes_are_errors(wanted, message):
    with pytest.raises(UserError) as error:
        select(KNOWN, wanted, "k")
    assert str(error.value) == message
