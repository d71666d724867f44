"""Guards that are removed one at a time, each with the test that has to notice.

A guard is where the code refuses, verifies or cleans up; without it everything works, until the day it is needed.
"""

from typing import NamedTuple


class Guard(NamedTuple):
    """A guard: the file below stages/promptseg, its text there, what replaces it, and the test below tests/."""

    file: str
    text: str
    replacement: str
    test: str


GUARDS = {
    "no code in weights": Guard(
        "nn/weights.py", "weights_only=True", "weights_only=False",
        "nn/test_weights.py::test_a_file_that_would_run_code_is_refused_and_does_not_run",
    ),
    "sha256 of weights": Guard(
        "nn/weights.py", 'if not path.is_file() or f"{sha256(path)}  {name}\\n" not in sums:', "if not path.is_file():",
        "nn/test_weights.py::test_a_file_that_is_longer_or_shorter_missing_or_flipped_in_a_bit_is_refused",
    ),
    "checksums in .pth": Guard(
        "nn/weights.py", "_check_zip(path)\n        return", "pass\n        return",
        "faults/test_byte_faults.py::test_a_damaged_file_is_one_line_that_names_it",
    ),
    "sha256 of the hub's blobs": Guard(
        "download/checkpoints.py", "files.sha256(blob) != blob.name", "False",
        "download/test_checkpoint_hub.py::test_a_byte_that_changed_on_the_way_is_refused_and_the_blob_is_named",
    ),
    "checksums of columns": Guard(
        "data/record_files.py", "if [*map(parquet_integrity.checksum, columns)] !=", "if False and [] !=",
        "data/test_records.py::test_a_column_that_the_footer_takes_for_another_is_refused",
    ),
    "digest of the footer": Guard(
        "data/parquet_integrity.py", "if footer.metadata[_DIGEST] !=", "if False and 0 !=",
        "data/test_records.py::test_a_flipped_bit_is_refused_or_changes_nothing",
    ),
    "checksums of scores": Guard(
        "evaluation/score_table.py", "page_checksum_verification=True", "page_checksum_verification=False",
        "evaluation/test_score_table.py::test_a_flipped_byte_in_the_table_is_noticed",
    ),
    "checksum of the summary": Guard(
        "evaluation/score_table.py", "if hashlib.sha256(metadata[METADATA])", "if False and hashlib.sha256(b'')",
        "evaluation/test_score_table.py::test_a_flipped_byte_in_the_summary_is_noticed",
    ),
    "checksums of PNG": Guard(
        "data/image_io.py", 'raise ValueError("the checksum of its pixels differs")', "pass",
        "data/test_image_io.py::test_a_flipped_bit_in_the_pixels_of_a_png_is_noticed",
    ),
    "checksums of features": Guard(
        "inference/embedding_cache.py", "!= self._sums[i]:", "!= self._sums[i] and False:",
        "inference/test_embedding_cache.py::test_a_row_that_changed_on_disk_is_refused",
    ),
    "limit of pixels": Guard(
        "data/image_io.py", "if image.width * image.height > MAX_PIXELS:", "if False:",
        "data/test_image_io.py::test_the_limit_of_pixels_holds_before_anything_is_decoded",
    ),
    "lossless masks": Guard(
        "data/image_io.py", 'if lossless and (in_tiff or image.format not in ("PNG", "TIFF")):', "if False:",
        "data/test_image_io.py::test_a_jpeg_is_an_image_in_gray_and_in_color_and_no_mask",
    ),
    "names in archives": Guard(
        "download/archives.py", 'if path.is_absolute() or ".." in path.parts or _odd(info.name)', "if False",
        "download/test_archives.py::test_unsafe_names_are_refused",
    ),
    "growth of archives": Guard(
        "download/archives.py", "if total > max(SMALL, MAX_RATIO * archive.stat().st_size):", "if False:",
        "download/test_archives.py::test_too_many_members_bytes_or_growth_is_refused_before",
    ),
    "links in archives": Guard(
        "download/archives.py", "tarfile.data_filter(info, str(folder))", "pass",
        "download/test_archives.py::test_a_link_to_outside_is_refused",
    ),
    "hosts of images": Guard(
        "datasets/phrasecut/gather.py", "mirrored(_check_host(urljoin", "mirrored((lambda url, _: url)(urljoin",
        "datasets/test_gather.py",
    ),
    "ids in JSON": Guard(
        "datasets/phrasecut/annotations.py", "if type(value) is not int or not low <= value <= high:", "if False:",
        "datasets/test_phrasecut.py",
    ),
    "checksum of a download": Guard(
        "download/http.py", "if digest != expected.lower():", "if False:",
        "download/test_http.py::test_a_checksum_is_compared_to_its_last_digit",
    ),
    "https stays https": Guard(
        "download/http.py", 'if address.startswith("https:") and not all(', "if False and not all(",
        "download/test_http.py::test_a_redirect_from_https_to_http_is_refused",
    ),
    "document types": Guard(
        "annotations/cvat.py", 'raise ValueError("it has a document type', 'str("it has a document type',
        "annotations/test_cvat.py::test_a_damaged_file_is_refused_in_one_line",
    ),
    "escaping in the report": Guard(
        "report/page.py", "autoescape=True", "autoescape=False",
        "report/test_page.py::test_page_shows_text_as_text",
    ),
    "content policy of the report": Guard(
        "report/templates/report.html.j2", "default-src 'none'; ", "",
        "report/test_page.py::test_no_script_can_run_but_that_of_the_page",
    ),
    "names of runs": Guard(
        "core/study.py", "if not NAME.fullmatch(name):", "if False:",
        "core/test_study.py::test_a_bad_name_is_refused",
    ),
    "names of folders in commands": Guard(
        "cli/raw_folders.py", "if found := _SPECIAL.search(raw):", "if found := None:",
        "cli/test_check.py::test_what_cannot_work_is_one_line_that_names_the_entry",
    ),
    "synced before it is renamed": Guard(
        "core/files.py", "        _sync(aside)\n", "",
        "core/test_files.py::test_content_is_synced_before_the_rename_and_the_folder_after_it",
    ),
    "old folders are moved aside": Guard(
        "core/files.py", "os.replace(path, old)", "shutil.rmtree(path)",
        "core/test_files.py::test_an_old_folder_is_removed_after_the_new_one_is_in_its_place",
    ),
    "temporary files are removed": Guard(
        "core/files.py", "    finally:\n        _remove(aside)\n", "    finally:\n        pass\n",
        "core/test_files.py::test_a_failure_leaves_the_old_output_or_none_and_nothing_else",
    ),
    "stages die with DVC": Guard(
        "core/stage.py", "    _die_with_parent()\n", "",
        "core/test_stage.py::test_a_stage_dies_with_its_parent",
    ),
    "stages unwind when asked to end": Guard(
        "core/stage.py", "    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))", "    pass",
        "core/test_stage.py::test_a_stage_that_is_terminated_leaves_nothing_behind",
    ),
    "checkpoints of other inputs": Guard(
        "training/checkpoint_manager.py", 'if config["inputs"] == self._inputs:', "if True:",
        "training/test_checkpoint_manager.py::test_checkpoints_of_other_inputs_are_not_used_and_are_removed",
    ),
    "circles of links": Guard(
        "data/file_names.py", "if real[name] not in around]", "]",
        "data/test_file_kinds.py::test_folders_are_walked_through_links_but_not_in_circles",
    ),
}  # fmt: skip
