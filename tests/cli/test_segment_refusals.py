"""`promptseg segment`: one line for every mistake, and nothing is written."""

import shlex

import numpy as np
import pytest
import segment_project
import tifffile
from segment_project import TEXT, photo


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return segment_project.make(tmp_path_factory.mktemp("project"))


@pytest.fixture
def run(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(folder)
    return segment_project.command(tmp_path / "out")


@pytest.mark.parametrize(
    "arguments, message",
    [
        ("--model pointclip --text chair", "pointclip takes point clouds, and only images can be segmented here"),
        ("--model sam --text fire", "sam takes no --text; give --auto or --box or --point"),
        ("--model clipseg --box 1,2,3,4", "clipseg takes no --box; give --support or --text"),
        ("--model sam", "sam needs a prompt; give --auto or --box or --point"),
        ("--model clipseg", "clipseg needs a prompt; give --support or --text"),
        ("--model unet", "unet: which classes? give --weights"),
        ("--weights data/weights/pets --classes cat", "--classes names 1, but there are 2"),
        ("--model unet --point 1,2", "unet takes no --point; give no prompt"),
        ("--text fire", "give --model ("),
        ("--model sam9 --text fire", "unknown model 'sam9'; known: "),
        ("--model sam --weights data/weights/fires", "--model sam: data/weights/fires is a run of clipseg"),
        ("--weights data/weights/none", "data/weights/none: no fine-tuned run there; `dvc repro finetune@none`"),
        ("--weights data/checkpoints/sam", "data/checkpoints/sam: a checkpoint and no fine-tuned run"),
        ("--model sam2 --box 1,2,3,4", "facebook/sam2.1-hiera-tiny: cannot be downloaded from the hub ("),
        ("--model sam --box 1,2,3,4 --checkpoint data/checkpoints/unet", "a checkpoint of unet, not of sam"),
        ("--model sam --box 1,2,3", "--box '1,2,3': 4 numbers with commas between them are expected"),
        ("--model sam --point 1,nan", "--point '1,nan': 2 numbers"),
        ("--model sam --box 1,2,61,4", "a: the box 1,2,61,4 exceeds the image, which is 60x40"),
        ("--model sam --box -1,2,5,4", "a: the box -1,2,5,4 exceeds the image"),
        ("--model sam --box 5,2,5,4", "--box 5,2,5,4: empty"),
        ("--model sam --point 60,4", "a: the point 60,4 is outside the image, which is 60x40"),
        ("--model sam --point 60,4 --box 1,2,3,4", "a: the point 60,4 is outside the image"),
        ("--model medsam --point 6,4 --box 1,2,3,4", "medsam takes no --point; give --box"),
        ("--model pa_sam --point 6,4 --box 1,2,3,4", "pa_sam takes no --box with --point; give --box"),
        ("--model sam --point 6,4 --classes a,b", "--classes names 2, but there is 1"),
        ("--model clipseg --text fire --text smoke --together", "clipseg reads each phrase by itself; leave out --tog"),
        ("--model sam3 --text fire --exemplar 1,2,3,4 --together", "sam3 reads each phrase by itself; leave out --tog"),
        ("--model grounding_dino --together", "--together: give the phrases of the classes by --text"),
        ("--model clipseg --auto", "clipseg takes no --auto; give --support or --text"),
        ("--model sam --auto --box 1,2,3,4", "give one of --auto, --box, --exemplar, --point, --support, --text (only "
         "--box and --point, --exemplar and --text, --support and --text go "),
        ("--model sam --box 1,2,3,4 --auto-points 9", "--auto-points belongs to --auto"),
        ("--model sam --auto-points 9", "--auto-points belongs to --auto"),
        ("--model sam --auto --auto-points 0", "--auto-points 0: at least 1"),
        ("--model clipseg --support a.png", "--support IMAGE and --support-mask MASK go together"),
        ("--model clipseg --support-mask a.png", "--support IMAGE and --support-mask MASK go together"),
        ("--model clipseg --text fire --cascade unet", "--cascade unet: it takes no points, boxes and"),
        ("--model clipseg --text fire --cascade sam9", "unknown model 'sam9'; known: "),
        ("--model sam --auto --cascade sam", "--cascade sam: automatic masks have no probability maps"),
        ("--model clipseg --text fire --cascade sam2", "facebook/sam2.1-hiera-tiny: cannot be downloaded from the hub"),
        ("--model clipseg --text ' '", "--text: an empty phrase"),
        ("--model clipseg --classes a,,b", "--classes 'a,,b': names with commas"),
        ("--model clipseg --text fire --threshold 1", "--threshold 1: a number between 0 and 1"),
        ("--model clipseg --text fire --window 9,9", "--window '9,9': LOW,HIGH is expected"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line_and_nothing_is_written(arguments, message, run, tmp_path):
    assert message in run(photo(tmp_path / "a.png"), *shlex.split(arguments))
    assert not (tmp_path / "out").exists()


def test_images_that_cannot_be_segmented(run, tmp_path):
    assert run(tmp_path / "no.png", *TEXT) == f"{tmp_path / 'no.png'}: not found"
    photo(tmp_path / "images/b.png")
    assert "images: the folder of the results" in run(tmp_path / "images", *TEXT, out=tmp_path)
    assert "too narrow for sam" in run(photo(tmp_path / "line.png", (1, 900)), "--model", "sam", "--point", "3,0")


def test_one_unreadable_image_does_not_keep_the_others(run, tmp_path):
    folder = tmp_path / "images"
    whole = [photo(folder / name).read_bytes() for name in ("a.png", "c.png")]
    (folder / "b.png").write_bytes(whole[0][:60])
    tifffile.imwrite(folder / "d.tif", np.zeros((2, 64, 72), np.uint16), photometric="minisblack")
    message = run(folder, "--model", "sam", "--box", "10,10,50,30")
    assert message == "2 of 4 images not segmented; they are listed above"
    assert sorted(path.name for path in (tmp_path / "out").glob("*_mask.png")) == ["a_mask.png", "c_mask.png"]
    listed = run.errors.splitlines()[-2:]
    assert [line.split(": ")[1] for line in listed] == [str(folder / "b.png"), str(folder / "d.tif")]
