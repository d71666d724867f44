"""The page of the report: complete, self-contained, and nothing runs in it but its own script."""

import base64
import hashlib
import html.parser
import io
import json
import re

import numpy as np
import pytest
from PIL import Image
from promptseg.core.errors import UserError
from promptseg.report import page, searches
from promptseg.report.verdict import Verdict
from report_project import EVIL, ORDER, SETTINGS, Project, study, write_figure

BOARDS = ("Somebody prompts", "Nobody prompts")
COLUMNS = [
    "run", "dataset", "model", "prompt", "IoU, 95 % interval", "0 to 1", "floor", "reported IoU", "pooled IoU",
    "mean IoU", "mean Dice", "pooled Dice", "boundary IoU", "scale",
]  # fmt: skip
BEFORE = {"dataset": "em", "model": "sam", "prompt": SETTINGS["finetune"]["em-sam-20"]["prompt"]}


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
        if tag not in ("meta", "img", "br", "input"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]

    def handle_data(self, data):
        self.text += data


def plain(markup: str) -> str:
    return " ".join(re.sub("<[^>]+>", " ", markup).split())


def table(text: str, name: str) -> str:
    return re.search(rf'<div class="card table {name}".*?</table>', text, re.DOTALL).group()


def board(text: str, name: str) -> list[str]:
    """Rows of a leaderboard, the header first."""
    found = re.search(rf'<div class="card table leaderboard"[^>]* aria-label="{name}: .*?</table>', text, re.DOTALL)
    return re.findall(r"<tr.*?</tr>", found.group(), re.DOTALL)


def names(rows: list[str]) -> list[str]:
    """The runs of rows of a leaderboard."""
    return re.findall(r'<th scope="row">(?:<a [^>]*>)?([\w-]+)', "".join(rows))


def details(text: str, run: str) -> str:
    """What the page shows of a run."""
    return re.search(
        rf'<details class="card run">\s*<summary><span class="name">{run}<.*?</pre>', text, re.DOTALL
    ).group()


def test_page_is_complete_and_needs_nothing_else(unchanged):
    shown = Page(unchanged.text)
    assert shown.open == []
    assert set(shown.tags) <= {
        "html", "head", "meta", "title", "style", "body", "main", "header", "h1", "h2", "h3", "p", "div", "ul", "li",
        "b", "a", "br", "span", "small", "table", "caption", "thead", "tbody", "tr", "th", "td", "img", "dl", "dt",
        "dd", "article", "nav", "section", "details", "summary", "pre", "figure", "figcaption", "form", "label",
        "select", "option", "input", "button", "output", "svg", "path", "text", "script",
    }  # fmt: skip
    assert not re.search(r"://|http:|https:|url\(|@import", unchanged.text)
    links = [value for _, name, value in shown.attributes if name in ("href", "src")]
    assert all(link.startswith(("#", "data:image/webp;base64,")) for link in links)
    ids = [value for _, name, value in shown.attributes if name == "id"]
    assert len(ids) == len(set(ids)) and {link[1:] for link in links if link.startswith("#")} <= set(ids)
    assert {each for each in ids if each.startswith("run-")} == {f"run-{name}" for name in ORDER}
    named = [value for _, name, value in shown.attributes if name in ("aria-labelledby", "for")]
    assert named and set(named) <= set(ids)


def test_no_script_can_run_but_that_of_the_page(unchanged):
    shown = Page(unchanged.text)
    assert not [name for _, name, _ in shown.attributes if name.startswith("on") or name == "style"]
    (script,) = re.findall("<script>(.*?)</script>", unchanged.text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; img-src data:; "
    assert ("meta", "content", policy + "base-uri 'none'; form-action 'none'") in shown.attributes


def test_page_is_equal_each_time_and_free_of_nan_dates_and_paths(unchanged):
    assert unchanged.render() == unchanged.text
    words = re.sub(r"base64,[^\"]*", "", unchanged.text)
    assert not {"nan", "inf"} & set(re.findall(r"[a-z]+", words.lower()))
    assert not re.search(r"20\d\d-\d\d|\d\d:\d\d", words)
    assert str(unchanged.root) not in words and "/somewhere" not in words


def test_page_embeds_the_figures_once_and_describes_them(project):
    write_figure(project.plots / "runs" / "covid-unet" / "images.png", seed=ORDER.index("em-sam"))
    found = Page(project.render())
    embedded = [value.split(",")[1] for tag, name, value in found.attributes if (tag, name) == ("img", "src")]
    images = [Image.open(io.BytesIO(base64.b64decode(data))) for data in embedded]
    for name, shown in zip(ORDER[:-1], images, strict=True):
        original = Image.open(project.plots / "runs" / name / "images.png").convert("RGB")
        assert shown.format == "WEBP" and shown.size == tuple(round(side * 0.55) for side in original.size)
        expected = np.asarray(original.resize(shown.size, Image.Resampling.LANCZOS), np.int16)
        assert np.abs(np.asarray(shown, np.int16) - expected).mean() < 6
    assert ORDER[-1] == "covid-unet" and found.text.count("Its figure is the same as that of em-sam.") == 1
    described = [value for tag, name, value in found.attributes if (tag, name) == ("img", "alt")]
    assert len(described) == len(embedded) and all(len(value) > 30 for value in described)


def test_fine_tuned_runs_have_curves_of_their_training_and_all_runs_those_of_the_threshold(unchanged):
    for name in ORDER:
        titles = re.findall('<text class="title" y="10">(.*?)</text>', details(unchanged.text, name))
        training = ["Loss by epoch", "Validation by epoch"] if name in SETTINGS["finetune"] else []
        assert titles == [*training, "Pooled scores by threshold"]


def test_a_run_in_several_steps_has_its_curve_and_numbers_of_clicks(project):
    clicks = {"dataset": "em", "model": "sam", "prompt": {"clicks": 3, "per": "instance"}}
    settings = study(zero_shot=SETTINGS["zero_shot"] | {"em-clicks": clicks})
    project.add_run("em-clicks", iou_mean=0.8, oracle=True, noc_80=2.25)
    with pytest.raises(UserError, match="runs/em-clicks/sweep.csv: not found"):
        project.render(settings)
    curve = "step,iou,iou_ci_low,iou_ci_high\n1,0.5,0.4,0.6\n2,0.7,0.6,0.8\n3,0.8,,\n"
    (project.plots / "runs/em-clicks/sweep.csv").write_text(curve)
    text = project.render(settings)
    assert re.findall('<text class="title" y="10">(.*?)</text>', details(text, "em-clicks")) == [
        "IoU by clicks", "Pooled scores by threshold",
    ]  # fmt: skip
    assert "IoU: first 0.5, last 0.8, highest 0.8 at 3; 95 % from: first 0.4, last 0.6" in text
    assert "NoC@80 <b>2.250</b>" in details(text, "em-clicks") and "NoC@80</th>" in text
    assert "<dt>NoC</dt>" in text and "<dt>NoC</dt>" not in project.render()
    assert "NoC@85" not in text and "IoU by clicks" not in details(text, "em-sam")


def test_the_leaderboards_have_a_cell_for_each_column(unchanged):
    for name in BOARDS:
        (head, *rows), labels = board(unchanged.text, name), COLUMNS
        assert [plain(cell) for cell in re.findall(r"<th .*?</th>", head, re.DOTALL)] == labels
        assert {len(re.findall(r"<t[hd][ >]", row)) for row in rows} == {len(labels)}
    (row,) = [row for row in board(unchanged.text, "Somebody prompts") if 'href="#run-covid-sam"' in row]
    shown = [plain(cell) for cell in re.findall(r"<t[hd].*?</t[hd]>", row, re.DOTALL)]
    assert dict(zip(COLUMNS, shown, strict=True)) == {
        "run": "covid-sam", "dataset": "covid", "model": "sam zero-shot",
        "prompt": "box, jitter 0.02 ground truth with jitter", "IoU, 95 % interval": "0.600 0.250–0.750, 6 groups",
        "0 to 1": "", "floor": "–", "reported IoU": "0.851", "pooled IoU": "0.400", "boundary IoU": "0.200",
        "mean IoU": "0.600", "mean Dice": "0.500", "pooled Dice": "0.550", "scale": "48 tiles, official; tiny weights",
    }  # fmt: skip
    (row,) = [row for row in board(unchanged.text, "Somebody prompts") if 'href="#run-em-sam"' in row]
    assert "0.350 3 groups" in plain(row), "with few groups there is no interval, only their number"
    assert unchanged.text.count("6 groups: block of slices within one volume") == len(ORDER) - 1


def test_runs_with_and_without_oracle_prompts_never_rank_together_and_the_best_of_a_dataset_are_first(unchanged):
    found = {name: names(board(unchanged.text, name)) for name in BOARDS}
    assert found == {
        "Somebody prompts": ["em-sam-20", "em-grid", "em-sam", "covid-sam"],
        "Nobody prompts": ["em-clipseg", "fires-cascade", "fires-clipseg", "covid-unet", "covid-cascade"],
    }
    best = [names([row]) for name in BOARDS for row in board(unchanged.text, name) if 'class="best' in row]
    assert best == [["em-sam-20"], ["covid-sam"], ["em-clipseg"], ["fires-cascade"], ["covid-unet"]]


def test_a_study_without_oracle_prompts_has_one_leaderboard(project):
    clipseg = {name: run for name, run in SETTINGS["zero_shot"].items() if run["model"] == "clipseg"}
    text = project.render(study(zero_shot=clipseg, finetune={}, cascade={}))
    assert "Somebody prompts" not in text and names(board(text, "Nobody prompts")) == ["em-clipseg", "fires-clipseg"]


def test_bars_show_the_iou_its_interval_its_floor_and_what_is_reported(project):
    floor = {"dataset": "covid", "model": "filled_box", "prompt": {"box": True, "jitter": 0.02}}
    models = SETTINGS["models"] | {"filled_box": {}}
    settings = study(models=models, zero_shot=SETTINGS["zero_shot"] | {"covid-box": floor})
    project.add_run("covid-box", iou_mean=0.4, oracle=True)
    rows = {names([row])[0]: row for row in board(project.render(settings), "Somebody prompts")[1:]}
    paths = {name: dict(re.findall('<path class="([a-z]+)" d="(.*?)"', row)) for name, row in rows.items()}
    assert paths["covid-sam"] == {  # 120 wide
        "track": "M0 7h120", "value": "M0 7H72", "floor": "M48 1v12", "interval": "M30 7H90M30 4v6M90 4v6",
        "reported": "M102 3l4 4l-4 4l-4 -4z",
    }  # fmt: skip
    assert paths["em-sam"].keys() == {"track", "value"}
    kinds = {name: re.search('svg class="bar ([a-z-]+)"', row)[1] for name, row in rows.items()}
    assert kinds == dict.fromkeys(rows, "zero-shot") | {"em-sam-20": "fine-tuned", "covid-box": "trivial"}


def test_what_prompting_costs_is_a_column_where_it_is_known(unchanged, project):
    assert "prompts an image" not in unchanged.text
    rows = project.rows()
    rows[1]["prompts_per_image"] = 16.25
    page.write_page(project.root / "a.html", study(), rows, project.sources(rows), [])
    text = (project.root / "a.html").read_text("utf-8")
    assert text.count("prompts an image</th>") == 1 and rows[1]["run"] == "em-sam"
    shown = {
        names([row])[0]: re.findall(r'<td class="number">(.*?)</td>', row)[0] for row in board(text, BOARDS[0])[1:]
    }
    assert shown["em-sam"] == "16.2" and shown["em-grid"] == "–"
    assert "prompt: 1 random point, ground truth (oracle), 16.2 an image" in plain(details(text, "em-sam"))


def test_the_page_begins_with_the_verdicts(project):
    found = {"zero_shot": "em-sam", "finetuned": "em-sam-20"}
    project.add_pair("em", {"a": 4, "b": 8}, {"a": 8, "b": 6}, **found)
    settings = study(zero_shot=SETTINGS["zero_shot"] | {"em-sam": BEFORE})
    verdicts = [
        Verdict("em", ("Type: 0.41.", "Click: <0.78>."), {"c": ("C.",)}, ("b",), ("em-sam", "em-sam-20")),
        Verdict("covid", ("No gain.",), {"lung": ("L.",), "heart": ("H.",)}, (), ()),
    ]
    text = project.render(settings, verdicts)
    assert [plain(title) for title in re.findall("<h2.*?</h2>", text)][:3] == [
        "Verdicts", "Leaderboards", "What fine-tuning gains",
    ]  # fmt: skip
    em, covid = [plain(card) for card in re.findall(r"<article.*?</article>", text, re.DOTALL)]
    assert em == ("em Type: 0.41. Click: &lt;0.78&gt;. Worse after fine-tuning: b ( shown ) Runs: em-sam , em-sam-20")
    assert covid == "covid No gain. Each of the 2 classes lung L. heart H."
    (figure,) = re.findall(r"<figure.*?</figure>", text, re.DOTALL)
    assert plain(figure).startswith("em-sam-20 , fine-tuned, beside em-sam , zero-shot")
    assert "hurt most, worst · b · IoU 1.000 → 0.750" in plain(figure)
    assert text.count("IoU 0.500, and after, IoU 1.000.") == 1


def test_page_shows_text_as_text(project):
    (project.summaries / "em.json").write_text(json.dumps({EVIL: {"kept": 1, "note": EVIL}}))
    shown = Page(project.render())
    assert shown.tags.count("script") == 1
    assert shown.text.count("<script>alert(1)</script>") >= 4 and "{{ 7 * 7 }}" in shown.text


def test_at_a_glance_a_cascade_counts_as_the_run_that_it_refines(project):
    project.write_summary("covid-unet", iou_mean=0.1)
    project.write_summary("em-sam-20", iou_mean=0.1, oracle=False)
    text = table(project.render(), "glance")
    rows = re.findall(r'<th scope="row"><a [^>]*>(\w+)</a></th>(.*?)</tr>', text, re.DOTALL)
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
    rows = {names([row])[0]: row for name in BOARDS for row in board(text, name)[1:]}
    assert {name for name, row in rows.items() if ">below</span>" in row} == {"em-clipseg", "em-sam"}
    assert text.count("below its floor</span>") == 3  # in the details of both, and in the words on it
    assert plain(rows["em-grid"]).count("0.390") == 1 and '<span class="badge">floor</span>' in rows["em-whole"]
    assert 'class="best' not in rows["em-whole"] and 'class="best' in rows["em-clipseg"]
    assert plain(table(text, "glance")).count("em-whole") == 0 and 'id="run-em-whole"' not in text


def test_gains_and_folds_and_dice_losses_are_shown_where_there_are_any(unchanged, project):
    words = ("What fine-tuning gains", "Means over folds", "Dice loss in training")
    assert not [each for each in words if each in unchanged.text]
    tuned = SETTINGS["finetune"]["em-sam-20"]
    voc = {name: {"raw": "data/raw/em", "reader": "voc", "options": {"fold": int(name[1])}} for name in ("p0", "p1")}
    folds = {f"{name}-text": {"dataset": name, "model": "clipseg", "prompt": {"text": "caption"}} for name in voc}
    settings = study(
        datasets=SETTINGS["datasets"] | voc,
        zero_shot=SETTINGS["zero_shot"] | {"em-before": BEFORE} | folds,
        finetune=SETTINGS["finetune"] | {"em-sam-20": tuned | {"reported_dice_loss": 0.158}},
    )
    project.add_run("em-before", iou_mean=0.5)
    project.add_pair("em", {"a": 4}, {"a": 8}, zero_shot="em-before", finetuned="em-sam-20")
    for name, iou in (("p0-text", 0.1), ("p1-text", 0.4)):
        project.add_run(name, iou_mean=iou)
    for name in voc:
        (project.summaries / f"{name}.json").write_text("{}")
    text = project.render(settings)
    assert "em sam 2 central points 0.500 em-before 0.450 em-sam-20 −0.050" in plain(table(text, "gains"))
    assert "p0, p1 clipseg zero-shot caption 0.250" in plain(table(text, "folds"))
    assert text.count("Dice loss in training <b>0.654</b>, reported 0.158") == 1


def test_a_run_with_the_winner_of_a_search_shows_all_candidates(project):
    about = {"dataset": "em", "model": "clipseg"}
    found = {"prompt": {"text": ["spot"]}, "score": 0.5, "candidates": 2, "encoder_passes": 8, "decoder_passes": 16}
    ranking = [{"prompt": '"spot"', "iou": 0.5}, {"prompt": f'"{EVIL}"', "iou": 0.25}]
    project.add_run("em-best", 9, iou_mean=0.45, search={**found, "ranking": ranking})
    settings = study(
        search={"words": {**about, "phrases": ["spot", EVIL]}},
        searched={"em-best": {**about, "prompt": {"search": "words"}}},
    )
    text = Page(project.render(searches.with_winners(settings, project.scores))).text
    assert "is the best of 2 on the validation images: 0.500 there, 0.450 on the test images (-0.05)" in text
    assert "All 2 candidates" in text and f'"{EVIL}" 0.250' in text and '"spot", best of 2' in text
    assert "candidates" not in Page(project.render()).text


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
    assert "best single mask</th>" in text and text.count(">0.123<") == 2  # in the table and in the details
    for words in ("part mIoU 0.678", "top-1 accuracy 0.678"):
        assert Page(text).text.count(words) == 1


def test_each_dataset_has_a_table_with_a_row_a_split(project):
    (project.summaries / "fires.json").write_text(json.dumps({"test": {"foreground": 0.066321}}))
    settings = study(datasets=SETTINGS["datasets"] | {"unused": SETTINGS["datasets"]["em"]})
    (project.summaries / "unused.json").write_text(json.dumps({"all": {"kept": 1}}))
    text = project.render(settings)
    sections = re.findall(r'<section id="data-(\w+)".*?</section>', text, re.DOTALL)
    assert sections == ["em", "fires", "covid", "unused"]
    cells = re.findall(r'<tr><th scope="row">(\w+)</th><td class="number">([\d,.–]+)', text)
    em = covid = [("train", "20"), ("val", "5"), ("test", "1,980")]
    assert cells == [*em, ("test", "0.066"), *covid, ("all", "1")]
    assert text.count("No run is on this dataset.") == 1


def test_settings_stand_with_their_runs_and_datasets_without_paths_of_this_machine(unchanged):
    assert "points: 2\n  sampling: center" in details(unchanged.text, "em-sam-20")
    assert "reported_iou: 0.851" in details(unchanged.text, "covid-sam")
    assert "max_epochs: 3" in unchanged.text and "reader: folder" in unchanged.text


def png_with_a_broken_chunk() -> bytes:
    """Pillow raises a SyntaxError for it, once it reads the pixels."""
    out = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (160, 160, 3), np.uint8)).save(out, "PNG")
    head, _, tail = out.getvalue().rpartition(b"IDAT")
    return head + bytes(4) + tail


@pytest.mark.parametrize(("name", "contents"), [
    ("prepared/em/test.parquet", [None, 7]),
    ("predictions/em-sam.parquet", [None, 7]),
    ("plots/training/em-sam-20.csv", [None]),
    ("plots/runs/em-sam/thresholds.csv", [None]),
    ("plots/runs/em-sam/images.png", [None, 0, 7, 150, png_with_a_broken_chunk()]),
    ("summaries/em.json", [None, b"", b"[]", b'{"test": 3}']),
    ("scores/em-sam.parquet", [None]),
])  # fmt: skip
def test_a_missing_or_damaged_file_is_named_and_no_page_is_left(project, name, contents):
    """contents: None for a missing file, a number of bytes that are kept, or what is written."""
    path = project.root / name
    project.add_pair("em", {"a": 4}, {"a": 8}, zero_shot="em-sam", finetuned="em-sam-20")
    settings = study(zero_shot=SETTINGS["zero_shot"] | {"em-sam": BEFORE})
    before = path.read_bytes()
    for content in contents:
        path.write_bytes(content if isinstance(content, bytes) else before[:content])
        if content is None:
            path.unlink()
        problem = "not found; `dvc repro` makes it" if content is None else ".*; delete it and run `dvc repro`"
        with pytest.raises(UserError, match=f"^{re.escape(str(path))}: {problem}$"):
            project.render(settings)
    assert not list(project.root.glob("*.html"))
