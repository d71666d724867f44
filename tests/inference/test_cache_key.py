"""The key of the embedding cache: a changed computation always discards it, a comment or a docstring never."""

import functools
from pathlib import Path
from types import SimpleNamespace

import pytest
from promptseg import models
from promptseg.core import fingerprint
from promptseg.inference import embedding_source
from promptseg.nn.image_transform import ImageTransform

CACHED = [fingerprint._imported, fingerprint._file_digest, fingerprint._tree]


def code(model: str, file: str | None = None, change=None) -> str:
    """Digest of the code that a model's encoding reaches, with a change to the content of one file."""
    kind = models.load(model)
    segmenter = kind.__new__(kind)
    segmenter.__dict__["transform"] = ImageTransform(8, False, (0, 0, 0), (1, 1, 1))
    read = Path.read_bytes

    def changed(path):
        return change(read(path)) if file and path == fingerprint.PACKAGE / file else read(path)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "read_bytes", changed)
        for function in CACHED:
            function.cache_clear()
        try:
            return embedding_source._code_digest(segmenter)
        finally:
            for function in CACHED:
                function.cache_clear()


@functools.cache
def unchanged(model: str) -> str:
    return code(model)


def replace(old: bytes, new: bytes):
    def change(content):
        assert content.count(old) == 1
        return content.replace(old, new)

    return change


@pytest.mark.parametrize(
    "model, file, old, new",
    [
        ("pa_sam", "nn/prompt_adapter.py", b"pixels, (side, side)", b"0 * pixels, (side, side)"),  # guide
        ("pa_sam", "data/image_io.py", b"np.repeat(image[..., None], 3,", b"np.repeat(image[..., None] // 2, 3,"),
        ("clipseg", "data/image_io.py", b"np.repeat(image[..., None], 3,", b"np.repeat(image[..., None] // 2, 3,"),
        ("sam2", "data/records.py", b"image_io.to_rgb(image_io.decode_image(record.image))", b"0"),
        ("clip_decoder_unet", "models/clip_decoder_unet.py", b"BLOCKS = (1, 2, 3, 4)", b"BLOCKS = (1, 2, 4, 4)"),
        ("clip_decoder_cnn", "nn/clip_decoder.py", b"depth * quarter // 4", b"depth * quarter // 5"),
        ("clipseg", "models/clipseg.py", b"[: max(layers) + 1]", b"[: max(layers)]"),
        ("sam", "nn/attention.py", b"scale=layer.scale", b"scale=1.0"),
        ("sam", "nn/image_transform.py", b"Image.Resampling.BILINEAR", b"Image.Resampling.NEAREST"),
        ("pointclip", "data/depth_maps.py", b"import", b"import sys\nimport"),
    ],
)
def test_a_changed_computation_has_another_key(model, file, old, new):
    change = replace(old, new) if old != b"import" else lambda content: content.replace(old, new, 1)
    assert code(model, file, change) != unchanged(model)


@pytest.mark.parametrize("model, file", [("pa_sam", "nn/prompt_adapter.py"), ("clipseg", "data/image_io.py")])
def test_comments_docstrings_layout_and_other_models_have_the_same_key(model, file):
    before = unchanged(model)
    assert code(model, file, lambda content: content + b"\n\n# A comment.\n") == before
    assert code(model, file, lambda content: content.replace(b'"""', b'"""In other words: ', 1)) == before
    assert code(model, file, lambda content: content.replace(b"\n\n\n", b"\n\n")) == before
    assert code(model, "models/unet.py", lambda content: content + b"\nNEW = 1\n") == before
    assert code(model, "core/study.py", lambda content: content + b"\nNEW = 1\n") == before


def test_both_libraries_versions_are_in_the_key(monkeypatch, tmp_path):
    (tmp_path / "split").write_bytes(b"1")
    kind = models.load("sam")
    source = embedding_source.Source(tmp_path / "split", [], "digest", tmp_path)
    segmenter = kind.__new__(kind)
    segmenter.__dict__["transform"] = ImageTransform(8, False, (0, 0, 0), (1, 1, 1))
    key = embedding_source.cache_key(segmenter, source)
    monkeypatch.setattr(embedding_source, "torch", SimpleNamespace(__version__="0"))
    monkeypatch.setattr(embedding_source.importlib.metadata, "version", lambda name: f"{name} 0")
    changed = embedding_source.cache_key(segmenter, source)
    assert {name for name in key if key[name] != changed[name]} == {"torch", "transformers"}
