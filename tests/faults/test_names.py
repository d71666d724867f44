"""Names that a shell, a page or a disk would take for something else: read as they are, or refused in one line."""

import os
import unicodedata

import pytest
import small_study
from promptseg.data import records

pytestmark = pytest.mark.xdist_group("faults")

READ = (
    "a b", "it's", 'say "cheese"', "; touch harm", "$(touch harm)", "`touch harm`", "$HOME", "a && touch harm",
    "<script>alert(1)<&>", "-rf", "--help", "a\\b", "{split}", "${seed}", "%s %n", "*", "caf\u00e9", "\u56f3\U0001f33f",
    "n" * 251,
)  # fmt: skip
PLAIN = small_study.images(24)


@pytest.fixture
def prepared(server, tmp_path):
    """Runs `preprocess` on a folder; returns how it ended, and the ids of all records."""
    small_study.write(tmp_path / "study")
    stage = next(stage for stage in small_study.stages() if stage.name == "preprocess@discs")

    def run(folder):
        arguments = [stage.arguments[0], str(folder), *stage.arguments[2:]]
        ended = server.start(stage.script, arguments, tmp_path / "study").wait()
        ids = [record.id for split in ("train", "val", "test") if ended.code == 0
               for record in records.open_split(tmp_path / f"study/data/prepared/discs/{split}.parquet")]  # fmt: skip
        return ended, ids

    return run


def fill(folder, names, number=0):
    """Images and masks of these names."""
    for name in names:
        for side in ("images", "masks"):
            (folder / side).mkdir(parents=True, exist_ok=True)
            (folder / side / f"{name}.png").write_bytes(PLAIN[f"{side}/{number % 24:02d}.png"])
        number += 1


def test_names_with_a_meaning_to_others_are_names(prepared, tmp_path):
    (tmp_path / "study/params.yaml").write_text((tmp_path / "study/params.yaml").read_text().replace("4", "99"))
    fill(tmp_path / "my $(touch harm) 'folder'", READ)
    twin = tmp_path / "my $(touch harm) 'folder'/masks"
    (twin / "caf\u00e9.png").rename(twin / "cafe\u0301.png")  # as macOS copies it
    for hidden in (".DS_Store", "._a b.png", ".hidden.png"):
        (twin.parent / "images" / hidden).write_bytes(b"\0")
    ended, ids = prepared(twin.parent)
    assert ended.code == 0, ended.output
    assert sorted(ids) == sorted(READ)
    assert not list(tmp_path.rglob("harm"))


@pytest.mark.parametrize("name", ["a\nb", "a\tb", "a\x1b[31mb", "a\u202eb", os.fsdecode(b"caf\xe9")])
def test_unprintable_names_are_refused_and_shown_escaped(name, prepared, tmp_path):
    fill(tmp_path / "mine", [name, *"abcdef"])
    ended, _ = prepared(tmp_path / "mine")
    assert ended.code == 1 and "has unprintable characters; rename the file" in ended.output
    assert ended.output.startswith("error: ") and ended.output.count("\n") == 1 and ended.output[:-1].isprintable()


def test_twins_of_two_unicode_forms_are_refused_and_those_of_case_are_two(prepared, tmp_path):
    fill(tmp_path / "mine", ["A", "a", *"bcdefg"])
    ended, ids = prepared(tmp_path / "mine")
    assert ended.code == 0 and len(set(ids)) == len(ids), ended.output
    fill(tmp_path / "mine", [unicodedata.normalize(form, "caf\u00e9") for form in ("NFC", "NFD")], 8)
    ended, _ = prepared(tmp_path / "mine")
    assert ended.code == 1 and ended.output.count("\n") == 1 and "is another" in ended.output, ended.output


@pytest.mark.parametrize(
    "kind, target, words",
    [("dangling", "nowhere.png", "x.png: not found"), ("looping", "x.png", "x.png: "), ("a folder", ".", "x.png")],
)
def test_a_link_to_no_file_is_one_line(kind, target, words, prepared, tmp_path):
    fill(tmp_path / "mine", ["x", *"abcdefg"])
    (tmp_path / "mine/images/x.png").unlink()
    (tmp_path / "mine/images/x.png").symlink_to(target)
    ended, _ = prepared(tmp_path / "mine")
    assert ended.code == 1 and words in ended.output, ended.output
    assert ended.output.startswith("error: ") and ended.output.count("\n") == 1


def test_links_to_files_and_folders_anywhere_are_read_and_a_loop_of_folders_ends(prepared, tmp_path):
    fill(tmp_path / "mine", "abcdefgh")
    plain = prepared(tmp_path / "mine")[1]
    (tmp_path / "mine/images/a.png").rename(tmp_path / "outside.png")
    (tmp_path / "mine/images/a.png").symlink_to("../../outside.png")
    (tmp_path / "mine/masks").rename(tmp_path / "elsewhere")
    (tmp_path / "mine/masks").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (tmp_path / "mine/again").symlink_to("..", target_is_directory=True)
    ended, ids = prepared(tmp_path / "mine")
    assert ended.code == 0 and ids == plain, ended.output
