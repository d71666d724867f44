"""Path patterns: what they match, the values of placeholders, and errors of one line for invalid patterns."""

import fnmatch
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from promptseg.datasets.folder.patterns import Pattern, split_of

MATCHES = [
    ("images/{name}.jpg", "images/p9.jpg", {"name": "p9"}),
    ("images/{name}.jpg", "images/p9.JPG", {"name": "p9"}),
    ("images/{name}.jpg", "Images/p9.jpg", None),
    ("images/{name}.jpg", "images/sub/p9.jpg", None),
    ("images/{name}.jpg", "images/p9.jpg.txt", None),
    ("./images/{name}.jpg", "images/p9.jpg", {"name": "p9"}),
    ("images/{name:**}.jpg", "images/sub/p9.jpg", {"name": "sub/p9"}),
    ("images/{name:**}.jpg", "images/p9.jpg", {"name": "p9"}),
    ("{name}_mask.png", "a_mask_mask.png", {"name": "a_mask"}),
    ("masks/{name}_*.png", "masks/a_b_c.png", {"name": "a_b"}),
    ("{split}/images/{name}.*", "Train/images/a.b.png", {"split": "Train", "name": "a.b"}),
    ("{name}/images/{name}.png", "x1/images/x1.png", {"name": "x1"}),
    ("{name}/images/{name}.png", "x1/images/x2.png", None),
    ("{patient}/{name}.png", "p 1/a (2).png", {"patient": "p 1", "name": "a (2)"}),
    ("images/*.jpg", "images/p9.jpg", {"name": "p9"}),
    ("*/images/*.jpg", "train/images/p9.jpg", {"*1": "train", "name": "p9"}),
    ("*/images/*_*.jpg", "t/images/p9_2.jpg", {"*1": "t", "name": "p9", "*2": "2"}),
    ("**/*.jpg", "p9.jpg", {"*1": "", "name": "p9"}),
    ("**/*.jpg", "a/b/p9.jpg", {"*1": "a/b", "name": "p9"}),
    ("a/**/images/*.jpg", "a/images/p9.jpg", {"*1": "", "name": "p9"}),
    ("**/image.png", "a/b/image.png", {"name": "a/b"}),
    ("**/image.png", "image.png", None),
    ("*/image.png", "a/image.png", {"name": "a"}),
    ("*/*/image.png", "a/b/image.png", {"*1": "a", "name": "b"}),
    ("images/*", "images/p9.tif", {"name": "p9"}),
    ("images/*.*", "images/p9.tif", {"name": "p9"}),
    ("images/{name}", "images/p.9.tif", {"name": "p.9"}),
    ("**/{name}.png", "x/y/a.png", {"name": "a"}),
    ("img?/{name}.png", "img1/a.png", {"name": "a"}),
    ("img?/{name}.png", "img/a.png", None),
    ("scan[1]+/{name}.png", "scan[1]+/a.png", {"name": "a"}),
]  # fmt: skip
INVALID = [
    ("", "within the folder"), ("/data/{name}.png", "within the folder"), ("../{name}.png", "within the folder"),
    ("images\\{name}.png", "with / in it"), ("images/photo.png", "needs {name} or *"),
    ("{split}/photo.*", "needs {name} or *"), ("images/{name}.{jpg,png}", "write .*"),
    ("images/{Name}.png", "placeholder is one word"), ("images/{}.png", "placeholder is one word"),
    ("images/{name.png", "brace"), ("images/name}*.png", "brace"), ("images/**.png", "whole folders"),
    ("images/a**/{name}.png", "whole folders"), ("images/**", "whole folders"),
]  # fmt: skip
NAMES = st.text(st.characters(exclude_characters="/", exclude_categories=("Cs", "Cc")), min_size=1, max_size=12)


@pytest.mark.parametrize(("pattern", "path", "values"), MATCHES, ids=lambda value: str(value))
def test_match(pattern, path, values):
    assert Pattern(pattern).match(path) == values


@pytest.mark.parametrize(("pattern", "words"), INVALID)
def test_invalid_patterns(pattern, words):
    with pytest.raises(ValueError) as error:
        Pattern(pattern)
    assert words in str(error.value) and "\n" not in str(error.value)


def test_fields_formats_and_literal_characters():
    assert Pattern("{split}/*/{patient}/{name}.png").fields == ("split", "patient", "name")
    assert Pattern("**/*/a_*.png").fields == ("*1", "*2", "name")
    formats = [Pattern(text).any_format for text in ("a/{name}.*", "a/{name}", "a/*", "a/{name}.png", "a.b/{name:**}")]
    assert formats == [True, True, True, False, True]
    assert Pattern("{name}_groundtruth.tif").literal > Pattern("{name}.tif").literal  # the more specific pattern


@pytest.mark.parametrize(
    "pattern, values, path",
    [
        ("masks/{name}_mask.*", {"name": "p9"}, "masks/p9_mask.*"),
        ("{split}/masks/{name}.png", {"name": "p9"}, "{split}/masks/p9.png"),
        ("**/masks/*.png", {"*1": "a/b", "name": "p9"}, "a/b/masks/p9.png"),
        ("**/masks/*.png", {"*1": "", "name": "p9"}, "masks/p9.png"),
    ],
)
def test_fill_inserts_values(pattern, values, path):
    assert Pattern(pattern).fill(values) == path


def test_both_unicode_forms_of_accents_match():
    composed, decomposed = (unicodedata.normalize(form, "images/Lärche.png") for form in ("NFC", "NFD"))
    assert composed != decomposed
    for pattern in (composed.replace("rche", "{name}"), decomposed.replace("rche", "{name}")):
        assert Pattern(pattern).match(composed) == Pattern(pattern).match(decomposed) == {"name": "rche"}


@settings(max_examples=50)
@given(NAMES, NAMES)
def test_match_inverts_fill(part, name):
    values = {"part": unicodedata.normalize("NFC", part), "name": unicodedata.normalize("NFC", name)}
    if "/" in values["part"] + values["name"]:
        return  # normalized to a slash
    pattern = Pattern("{part}/images/{name}_mask.png")
    assert pattern.match(pattern.fill(values)) == values


@settings(max_examples=50)
@given(st.text("ab?*", max_size=6), st.text("abc.", max_size=8))
def test_stars_agree_with_fnmatch(glob, text):
    if "**" in glob:
        return
    pattern = Pattern("x/" + glob + "-{name}.png")
    for path in (f"x/{text}-n.png", f"x/{text}.png"):
        assert bool(pattern.match(path)) == fnmatch.fnmatchcase(path, f"x/{glob}-?*.png")


def test_words_for_splits():
    for split, words in {
        "train": ("train", "Train", "TRAINING", "Train Set", "training_set", "trainset"),
        "val": ("val", "valid", "Validation", "dev", "validation-set"),
        "test": ("test", "Testing", "Test Set"),
    }.items():
        assert {split_of(word) for word in words} == {split}
    assert [split_of(word) for word in ("trainval", "fold1", "", "set", "train2")] == [None] * 5
