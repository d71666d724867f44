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


@pytest.fixture(scope="module")
def unchanged(tmp_path_factory) -> Project:
    """A project with its page, which no test changes."""
    project = Project(tmp_path_factory.mktemp("project"))
    project.text = project.render()
    return project


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

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def plain(markup: str) -> str:
    return " ".join(re.sub("<[^>]+>", " ", markup).split())


def table(text: str, name: str) -> str:
    return re.search(rf'<div class="card table {name}">.*?</table>', text, re.DOTALL).group()


def test_page_is_complete_and_needs_nothing_else(unchanged):
    page = Page(unchanged.text)
    assert page.open == []
    assert set(page.tags) <= {
        "html", "head", "meta", "title", "style", "body", "main", "header", "h1", "h2", "h3", "p", "div", "ul", "li",
        "b", "a", "br", "span", "table", "thead", "tbody", "tr", "th", "td", "img", "dl", "dt", "dd", "article",
    }  # fmt: skip
    assert not re.search(r"://|http:|https:|url\(", unchanged.text)
    links = [value for _, name, value in page.attributes if name in ("href", "src")]
    assert all(link.startswith(("#run-", "data:image/webp;base64,")) for link in links)
    assert not [name for _, name, _ in page.attributes if name.startswith("on")]
    anchors = {f"#{value}" for _, name, value in page.attributes if name == "id"}
    assert {link for link in links if link.startswith("#")} == anchors == {f"#run-{name}" for name in ORDER}
    policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
    assert ("meta", "content", policy) in page.attributes and "Content-Security-Policy" in unchanged.text


def test_page_is_equal_each_time_and_free_of_nan_dates_and_paths(unchanged):
    assert unchanged.render() == unchanged.text
    words = re.sub(r"base64,[^\"]*", "", unchanged.text)
    assert not {"nan", "inf"} & set(re.findall(r"[a-z]+", words.lower()))
    assert not re.search(r"20\d\d-\d\d|\d\d:\d\d", words)
    assert str(unchanged.root) not in words and "/somewhere" not in words


def test_page_embeds_the_files_and_describes_them(unchanged):
    page = Page(unchanged.text)
    embedded = [value.split(",")[1] for tag, name, value in page.attributes if (tag, name) == ("img", "src")]
    chart, *images = [Image.open(io.BytesIO(base64.b64decode(data))) for data in embedded]
    original = Image.open(unchanged.root / "chart.png").convert("RGB")
    assert np.array_equal(np.asarray(chart), np.asarray(original))
    for name, shown in zip(ORDER, images[::2], strict=True):
        original = Image.open(unchanged.plots / "runs" / name / "images.png").convert("RGB")
        assert shown.format == "WEBP" and shown.size == tuple(round(side * 0.55) for side in original.size)
        expected = np.asarray(original.resize(shown.size, Image.Resampling.LANCZOS), np.int16)
        assert np.abs(np.asarray(shown, np.int16) - expected).mean() < 6
    heights = {name: curves.size[1] for name, curves in zip(ORDER, images[1::2], strict=True)}
    assert heights == {name: heights["em-sam"] * (3 if name in SETTINGS["finetune"] else 1) for name in ORDER}
    described = [value for tag, name, value in page.attributes if (tag, name) == ("img", "alt")]
    assert len(described) == len(embedded) and all(len(value) > 30 for value in described)


def test_the_leaderboard_has_a_cell_for_each_column_and_marks_the_best_run_without_an_oracle_prompt(unchanged):
    head, *rows = re.findall(r"<tr.*?</tr>", table(unchanged.text, "leaderboard"), re.DOTALL)
    labels = [plain(cell) for cell in re.findall(r"<th .*?</th>", head, re.DOTALL)]
    assert labels[3:] == [
        "IoU 95 % interval", "floor", "reported IoU", "scale", "mean IoU", "pooled IoU", "mean Dice", "pooled Dice",
        "boundary IoU",
    ]  # fmt: skip
    cells = {len(re.findall(r"<t[hd] ", row)) for row in rows if "rowgroup" not in row}
    assert cells == {int(span) for span in re.findall(r'colspan="(\d+)"', "".join(rows))} == {len(labels)} == {12}
    (row,) = [row for row in rows if 'href="#run-covid-sam"' in row]
    shown = [plain(cell) for cell in re.findall(r"<td.*?</td>", row, re.DOTALL)]
    scale = "48 tiles, official; tiny weights"
    assert shown[2:8] == ["0.600 0.250–0.750, 6 groups", "–", "0.851", scale, "0.600", "0.400"]
    (row,) = [row for row in rows if 'href="#run-em-sam"' in row]
    assert "0.350 3 groups" in plain(row), "with few groups there is no interval, only their number"
    assert unchanged.text.count("6 groups: block of slices within one volume") == len(ORDER) - 1
    marked = re.findall(r'<tr class="best">\s*<th scope="row"><a href="#run-([^"]+)"', unchanged.text)
    assert marked == ["em-clipseg", "fires-cascade", "covid-unet"]
    assert unchanged.text.count('<span class="badge oracle">') == 2 * 4 + 1  # table, article, and the note on it


def test_page_shows_text_as_text(project):
    (project.summaries / "em.json").write_text(json.dumps({EVIL: {"kept": 1, "note": EVIL}}))
    page = Page(project.render())
    assert "script" not in page.tags
    assert page.text.count("<script>alert(1)</script>") >= 4 and "{{ 7 * 7 }}" in page.text


def test_at_a_glance_a_cascade_counts_as_the_run_that_it_refines(project):
    project.write_summary("covid-unet", iou_mean=0.1)
    project.write_summary("em-sam-20", iou_mean=0.1, oracle=False)
    rows = re.findall(r'<th scope="row">(\w+)</th>(.*?)</tr>', table(project.render(), "glance"), re.DOTALL)
    best = {name: [plain(cell) for cell in re.findall(r"<td.*?</td>", row, re.DOTALL)] for name, row in rows}
    assert best == {  # zero-shot, fine-tuned, oracle
        "em": ["0.300 em-clipseg", "0.100 em-sam-20", "0.400 em-grid"],
        "fires": ["0.550 fires-cascade", "–", "–"],
        "covid": ["–", "0.650 covid-cascade", "0.600 covid-sam"],
    }


def test_trivial_runs_are_never_best_and_runs_below_them_are_marked(project):
    floor = {"dataset": "em", "model": "whole_image", "prompt": {}}
    settings = study(zero_shot=SETTINGS["zero_shot"] | {"em-whole": floor})
    project.add_run("em-whole", iou_mean=0.39)
    text = project.render(settings)
    assert 'class="best"' in text and 'class="best">\n    <th scope="row">em-whole' not in text
    board = table(text, "leaderboard")
    rows = dict(re.findall(r'<th scope="row">(?:<a href="[^"]+">)?([\w-]+)(.*?)</tr>', board, re.DOTALL))
    assert {name for name, row in rows.items() if "below its floor" in row} == {"em-clipseg", "em-sam"}
    assert plain(rows["em-grid"]).count("0.390") == 1 and '<span class="badge">floor</span>' in rows["em-whole"]
    assert plain(table(text, "glance")).count("em-whole") == 0 and 'id="run-em-whole"' not in text


def test_gains_and_folds_and_dice_losses_are_shown_where_there_are_any(unchanged, project):
    words = ("What fine-tuning gains", "Means over folds", "Dice loss in training")
    assert not [each for each in words if each in unchanged.text]
    tuned = SETTINGS["finetune"]["em-sam-20"]
    run = {"dataset": "em", "model": "sam", "prompt": tuned["prompt"]}
    voc = {name: {"raw": "data/raw/em", "reader": "voc", "options": {"fold": int(name[1])}} for name in ("p0", "p1")}
    folds = {f"{name}-text": {"dataset": name, "model": "clipseg", "prompt": {"text": "caption"}} for name in voc}
    settings = study(
        datasets=SETTINGS["datasets"] | voc,
        zero_shot=SETTINGS["zero_shot"] | {"em-before": run} | folds,
        finetune=SETTINGS["finetune"] | {"em-sam-20": tuned | {"reported_dice_loss": 0.158}},
    )
    project.add_run("em-before", iou_mean=0.5)
    for name, iou in (("p0-text", 0.1), ("p1-text", 0.4)):
        project.add_run(name, iou_mean=iou)
    for name in voc:
        (project.summaries / f"{name}.json").write_text("{}")
    text = project.render(settings)
    assert "em sam 2 central points 0.500 em-before 0.450 em-sam-20 −0.050" in plain(table(text, "gains"))
    assert "p0, p1 clipseg zero-shot caption 0.250" in plain(table(text, "folds"))
    assert text.count("Dice loss in training 0.654, reported 0.158") == 1


def test_page_says_that_a_small_run_is_not_the_study(unchanged, project):
    small = Page(unchanged.text).text
    assert "not the study's numbers" in small and "at most 3 epochs" in small and "say nothing about" in small
    full = {"scale": {}, "download": {name: {"reader": name} for name in SETTINGS["download"]}}
    assert "not the study's numbers" not in Page(project.render(study(**full))).text
    part = Page(project.render(study(**full | {"scale": {"max_images": 1}}))).text
    assert "at most 1 image a split" in part and "say nothing about" not in part


def test_metrics_of_automatic_masks_and_point_clouds_are_shown_where_a_run_has_them(unchanged, project):
    assert "best single" not in unchanged.text
    project.write_summary("em-grid", iou_best_single=0.1234)
    project.write_summary("em-clipseg", "boundary_iou", part_miou=0.678)
    project.write_summary("fires-clipseg", "boundary_iou", top1=0.678)
    text = project.render()
    assert "best single mask</th>" in text and text.count(">0.123<") == 1
    for words in ("part mIoU 0.678", "top-1 accuracy 0.678"):
        assert Page(text).text.count(words) == 1


def test_the_table_of_datasets_has_a_row_a_split(project):
    (project.summaries / "fires.json").write_text(json.dumps({"test": {"foreground": 0.066321}}))
    text = project.render()
    cells = re.findall(r'<tr><th scope="row">(\w+)</th><td>(\w+)</td><td class="number">([\d,.–]+)', text)
    em, covid = ([(name, "train", "20"), (name, "val", "5"), (name, "test", "1,980")] for name in ("em", "covid"))
    assert ">0.066<" in text and cells == [*em, ("fires", "test", "–"), *covid]


def png_with_a_broken_chunk() -> bytes:
    """Pillow raises a SyntaxError for it, once it reads the pixels."""
    out = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (160, 160, 3), np.uint8)).save(out, "PNG")
    head, _, tail = out.getvalue().rpartition(b"IDAT")
    return head + bytes(4) + tail


@pytest.mark.parametrize(("name", "contents"), [
    ("plots/training/em-sam-20.csv", [None]),
    ("plots/runs/em-sam/thresholds.csv", [None]),
    ("plots/runs/em-sam/images.png", [None, 0, 7, 150, png_with_a_broken_chunk()]),
    ("summaries/em.json", [None, b"", b"[]", b'{"test": 3}']),
    ("scores/em-sam.parquet", [None]),
])  # fmt: skip
def test_a_missing_or_damaged_file_is_named_and_no_page_is_left(project, name, contents):
    """contents: None for a missing file, a number of bytes that are kept, or what is written."""
    path = project.root / name
    before = path.read_bytes()
    for content in contents:
        path.write_bytes(content if isinstance(content, bytes) else before[:content])
        if content is None:
            path.unlink()
        problem = "not found; `dvc repro` makes it" if content is None else ".*; delete it and run `dvc repro`"
        with pytest.raises(UserError, match=f"^{re.escape(str(path))}: {problem}$"):
            project.render()
    assert not list(project.root.glob("*.html"))
