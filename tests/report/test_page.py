"""The page of the report: complete, self-contained, and without anything that could run."""

import base64
import html.parser
import io
import json
import re

import numpy as np
import pytest
from PIL import Image
from promptseg.core.errors import UserError
from report_project import EVIL, ORDER, SETTINGS, Project, study


@pytest.fixture
def project(tmp_path) -> Project:
    return Project(tmp_path)


class Page(html.parser.HTMLParser):
    """Collects tags, attributes and the text of a page, as a browser does."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.text, self.open = [], [], "", []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.attributes += [(tag, name, value) for name, value in attrs]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def test_page_is_complete_and_needs_nothing_else(project):
    text = project.render()
    page = Page(text)
    assert page.open == []
    assert set(page.tags) <= {
        "html", "head", "meta", "title", "style", "body", "main", "header", "h1", "h2", "h3", "p", "div", "ul", "li",
        "b", "a", "br", "span", "table", "thead", "tbody", "tr", "th", "td", "img", "dl", "dt", "dd", "article",
    }  # fmt: skip
    assert "://" not in text and "http:" not in text and "https:" not in text and "url(" not in text
    links = [value for _, name, value in page.attributes if name in ("href", "src")]
    assert all(link.startswith(("#run-", "data:image/webp;base64,")) for link in links)
    assert not [name for _, name, _ in page.attributes if name.startswith("on")]
    anchors = {f"#{value}" for _, name, value in page.attributes if name == "id"}
    assert {link for link in links if link.startswith("#")} == anchors == {f"#run-{name}" for name in ORDER}
    policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
    assert ("meta", "content", policy) in page.attributes and "Content-Security-Policy" in text


def test_page_shows_text_as_text(project):
    (project.summaries / "em.json").write_text(json.dumps({EVIL: {"kept": 1, "note": EVIL}}))
    page = Page(project.render())
    assert "script" not in page.tags
    assert page.text.count("<script>alert(1)</script>") >= 4 and "{{ 7 * 7 }}" in page.text


def test_page_embeds_the_files_and_describes_them(project):
    page = Page(project.render())
    embedded = [value.split(",")[1] for tag, name, value in page.attributes if (tag, name) == ("img", "src")]
    chart, *images = [Image.open(io.BytesIO(base64.b64decode(data))) for data in embedded]
    assert np.array_equal(np.asarray(chart), np.asarray(Image.open(project.root / "chart.png").convert("RGB")))
    for name, shown in zip(ORDER, images[::2], strict=True):
        original = Image.open(project.plots / "runs" / name / "images.png").convert("RGB")
        assert shown.format == "WEBP" and shown.size == tuple(round(side * 0.6) for side in original.size)
        expected = np.asarray(original.resize(shown.size, Image.Resampling.LANCZOS), np.int16)
        assert np.abs(np.asarray(shown, np.int16) - expected).mean() < 6
    heights = {name: curves.size[1] for name, curves in zip(ORDER, images[1::2], strict=True)}
    assert {name for name in ORDER if heights[name] == 3 * heights["em-sam"]} == set(SETTINGS["finetune"])
    assert set(heights.values()) == {heights["em-sam"], 3 * heights["em-sam"]}
    described = [value for tag, name, value in page.attributes if (tag, name) == ("img", "alt")]
    assert len(described) == len(embedded) and all(len(value) > 30 for value in described)


def test_page_is_equal_each_time_and_free_of_nan_dates_and_paths(project):
    first = project.render()
    assert first == project.render()
    words = re.sub(r"base64,[^\"]*", "", first)
    assert not {"nan", "inf"} & set(re.findall(r"[a-z]+", words.lower()))
    assert not re.search(r"20\d\d-\d\d|\d\d:\d\d", words)
    assert str(project.root) not in words and "/somewhere" not in words


def test_page_marks_the_best_run_without_an_oracle_prompt(project):
    text = project.render()
    marked = re.findall(r'<tr class="best">\s*<th scope="row"><a href="#run-([^"]+)"', text)
    assert marked == ["em-clipseg", "fires-cascade", "covid-unet"]
    assert text.count('<span class="badge oracle">') == 2 * 4 + 1  # table, article, and the note that explains it


def test_at_a_glance_a_cascade_counts_as_the_run_that_it_refines(project):
    project.write_summary("covid-unet", iou_mean=0.1)
    table = re.search(r'<div class="card table glance">.*?</table>', project.render(), re.DOTALL).group()
    cells = {
        name: re.findall(r'#run-([^"]+)"|>(–)<', row)
        for name, row in re.findall(r'<th scope="row">(\w+)</th>(.*?)</tr>', table, re.DOTALL)
    }
    best = {name: ["".join(cell) for cell in row] for name, row in cells.items()}
    assert best == {
        "em": ["em-clipseg", "–", "–", "em-sam-20"],  # zero-shot, fine-tuned, gain, oracle
        "fires": ["fires-cascade", "–", "–", "–"],
        "covid": ["–", "covid-cascade", "–", "covid-sam"],
    }


def test_page_says_that_a_small_run_is_not_the_study(project):
    small = Page(project.render()).text
    assert "not the study's numbers" in small and "at most 3 epochs" in small and "say nothing about" in small
    download = {name: {"reader": name} for name in SETTINGS["download"]}
    full = {"scale": {}, "download": download}
    assert "not the study's numbers" not in Page(project.render(study(**full))).text
    part = Page(project.render(study(**full | {"scale": {"max_images": 1}}))).text
    assert "at most 1 image a split" in part and "say nothing about" not in part


def test_page_shows_the_scale_beside_the_reported_iou(project):
    text = project.render()
    row = re.search(r'<th scope="row"><a href="#run-covid-sam">.*?</tr>', text, re.DOTALL).group()
    cells = [" ".join(re.sub("<[^>]+>", " ", cell).split()) for cell in re.findall(r"<td.*?</td>", row, re.DOTALL)]
    assert cells[2:5] == ["0.600 0.250–0.750", "0.851", "48 images, official; tiny weights"]


def test_rows_of_the_leaderboard_have_a_cell_for_each_column(project):
    table = re.search(r'<div class="card table leaderboard">.*?</table>', project.render(), re.DOTALL).group()
    head, *rows = re.findall(r"<tr.*?</tr>", table, re.DOTALL)
    columns = len(re.findall(r"<th ", head))
    cells = {len(re.findall(r"<t[hd] ", row)) for row in rows if "rowgroup" not in row}
    spans = {int(span) for span in re.findall(r'colspan="(\d+)"', table)}
    assert cells == spans == {columns} == {10}
    labels = [" ".join(re.sub("<[^>]+>", " ", cell).split()) for cell in re.findall(r"<th .*?</th>", head, re.DOTALL)]
    assert labels[3:] == [
        "mean IoU 95 % interval", "reported IoU", "scale", "pooled IoU", "mean Dice", "pooled Dice", "boundary IoU",
    ]  # fmt: skip


def test_best_single_masks_have_a_column_where_a_run_has_automatic_masks(project):
    assert "best single" not in project.render()
    project.write_summary("em-grid", iou_best_single=0.1234)
    text = project.render()
    assert "best single mask</th>" in text and text.count(">0.123<") == 1


def test_runs_on_point_clouds_have_metrics_of_their_own(project):
    project.write_summary("em-clipseg", ("boundary_iou",), part_miou=0.678)
    project.write_summary("fires-clipseg", ("boundary_iou",), top1=0.678)
    text = Page(project.render()).text
    assert text.count("part mIoU 0.678") == text.count("top-1 accuracy 0.678") == 1


def test_split_table_has_a_row_a_split(project):
    splits = {"test": {"foreground": 0.066321}}
    (project.summaries / "fires.json").write_text(json.dumps(splits))
    text = project.render()
    cells = re.findall(r'<tr><th scope="row">(\w+)</th><td>(\w+)</td><td class="number">([\d,.–]+)', text)
    em, covid = ([(name, "train", "20"), (name, "val", "5"), (name, "test", "1,980")] for name in ("em", "covid"))
    assert ">0.066<" in text and cells == [*em, ("fires", "test", "–"), *covid]


@pytest.mark.parametrize("name", [
    "plots/training/em-sam-20.csv", "plots/runs/em-sam/thresholds.csv", "plots/runs/em-sam/images.png",
    "summaries/em.json", "scores/em-sam.parquet",
])  # fmt: skip
def test_a_missing_file_is_named_and_no_page_is_left(project, name):
    (project.root / name).unlink()
    with pytest.raises(UserError, match=re.escape(str(project.root / name))):
        project.render()
    assert not list(project.root.glob("*.html"))


@pytest.mark.parametrize("bytes_kept", [0, 7, 200])
def test_a_damaged_figure_is_named(project, bytes_kept):
    path = project.plots / "runs" / "em-sam" / "images.png"
    path.write_bytes(path.read_bytes()[:bytes_kept])
    with pytest.raises(UserError, match=r"em-sam.images\.png: damaged"):
        project.render()


@pytest.mark.parametrize("content", ["", "[]", '{"test": 3}'])
def test_a_damaged_summary_is_named(project, content):
    (project.summaries / "em.json").write_text(content)
    with pytest.raises(UserError, match=r"em\.json: .*dvc repro"):
        project.render()
