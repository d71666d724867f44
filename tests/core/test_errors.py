"""What the system refuses is told from damage: no good file is called damaged because memory was short."""

import errno
import os

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image
from promptseg.core.errors import NotEnoughMemoryError, UserError, memory_refused, of_system
from promptseg.data import image_io, label_images, records, tiff_stack
from promptseg.evaluation import score_table
from promptseg.nn import weights


def raised(call) -> Exception:
    with pytest.raises(Exception) as error:
        call()
    return error.value


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        raised(lambda: np.empty(2**50)),
        raised(lambda: torch.empty(2**60, dtype=torch.uint8)),
        RuntimeError("unable to mmap 5274264 bytes from file <model.safetensors>: Cannot allocate memory (12)"),
        RuntimeError("could not create a primitive"),
        RuntimeError("can't start new thread"),
        RuntimeError("std::bad_alloc"),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        OSError(errno.ENOMEM, os.strerror(errno.ENOMEM)),
        NotEnoughMemoryError("memory", MemoryError()),
    ],
)
def test_memory_is_refused_in_many_words(error):
    assert memory_refused(error)
    refusal = of_system(error, "a.png")
    assert isinstance(refusal, NotEnoughMemoryError) and not isinstance(refusal, UserError)
    assert "not enough memory" in str(refusal) and "\n" not in str(refusal)


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("could not create a primitive descriptor for a convolution"),
        RuntimeError("shape '[2, 2]' is invalid for input of size 3"),
        ValueError("can't allocate memory"),
        OSError("broken data stream when reading image file"),
        OSError(errno.ENOENT, os.strerror(errno.ENOENT)),
    ],
)
def test_other_errors_are_about_the_content(error):
    assert not memory_refused(error) and of_system(error, "a.png") is None


@pytest.mark.parametrize("number", [errno.EACCES, errno.EMFILE, errno.EIO, errno.EISDIR, errno.ENOSPC])
def test_other_refusals_name_the_file_and_the_reason(number):
    refusal = of_system(OSError(number, os.strerror(number)), "a.png")
    assert isinstance(refusal, UserError) and str(refusal) == f"a.png: cannot be read ({os.strerror(number)})"


def _raise(*_, **__):
    raise MemoryError


@pytest.mark.parametrize(
    "replaced, read",
    [
        ("PIL.Image.open", lambda folder: image_io.read_image(folder / "a.png")),
        ("PIL.ImageFile.ImageFile.load", lambda folder: image_io.read_image(folder / "a.png")),
        ("tifffile.TiffFile", lambda folder: tiff_stack.Stack(folder / "a.tif")),
        ("tifffile.TiffFile", lambda folder: label_images.read_labels(folder / "a.tif")),
        ("tifffile.TiffPage.asarray", lambda folder: tiff_stack.Stack(folder / "a.tif")[0]),
        ("json.loads", lambda folder: records.RecordReader(folder / "a.parquet", records.Record)),
        ("pyarrow.parquet.read_schema", lambda folder: score_table.read_summary(folder / "a.parquet")),
        ("promptseg.nn.weights.load_file", lambda folder: weights.tensors(folder / "a.safetensors")),
    ],
)  # fmt: skip
def test_where_memory_is_short_no_file_is_called_damaged(replaced, read, tmp_path, blobs, monkeypatch):
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / "a.png")
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((8, 8), np.uint16))
    blobs("a", 1)
    (tmp_path / "a.safetensors").touch()
    monkeypatch.setattr(replaced, _raise)
    with pytest.raises((MemoryError, NotEnoughMemoryError)):
        read(tmp_path)
