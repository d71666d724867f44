"""The leaderboard, its chart and the page: right rows, equal bytes, and nothing in the page that could run."""

import base64
import csv
import html.parser
import json
import re

import numpy as np
import pytest
from PIL import Image
from promptseg.core import params
from promptseg.core.errors import UserError
from promptseg.report import leaderboard, run_figure

EVIL = '<script>alert(1)</script>"><img src=x onerror=alert(2)>{{ 7 * 7 }}'
SCORES = {
    "iou_mean": 0.41234, "iou_pooled": 0.4, "dice_mean": 0.5, "dice_pooled": 0.55, "accuracy": 0.9, "precision": 0.7,
    "recall": 0.6, "boundary_iou": 0.2, "average_precision": 0.5, "pictures": 48, "groups": 4, "oracle": False,
}  # fmt: skip
SETTINGS = {
    "scale": {"data": "sample", "checkpoints": "tiny", "max_epochs": 3, "max_images": 48},
    "datasets": {
        "em": {"reader": "em"},
        "fires": {"reader": "fires", "source": "/somewhere/of/mine"},
        "covid": {"reader": "covid", "source": "official"},
    },
    "models": {"sam": {}, "clipseg": {"source": "official"}, "unet": {"source": "unet.pth"}},
    "zero_shot": {
        "fires-clipseg": {"dataset": "fires", "model": "clipseg", "prompt": {"text": ["fire"], "support": True}},
        "em-clipseg": {"dataset": "em", "model": "clipseg", "prompt": {"text": [EVIL]}},
        "em-sam": {"dataset": "em", "model": "sam", "prompt": {"points": 1}},
        "em-grid": {"dataset": "em", "model": "sam", "prompt": {}},
        "covid-sam": {
            "dataset": "covid", "model": "sam", "prompt": {"box": True, "jitter": 0.02}, "published": 0.851,
        },
    },
    "finetune": {
        "em-sam-20": {
            "dataset": "em", "model": "sam", "prompt": {"points": 2, "how": "center"}, "published": 0.254,
            "train": {"epochs": 20, "parts": ["mask_decoder"]},
        },
        "covid-unet": {"dataset": "covid", "model": "unet", "prompt": {}, "train": {"epochs": 1, "parts": ["all"]}},
    },
}  # fmt: skip
ORACLE = ("em-sam", "em-grid", "em-sam-20", "covid-sam")  # em-grid's masks are matched with the truth
ORDER = ["em-clipseg", "em-sam", "em-grid", "em-sam-20", "fires-clipseg", "covid-sam", "covid-unet"]


@pytest.fixture
def settings():
    return params.parse(SETTINGS)


@pytest.fixture
def project(tmp_path, settings):
    """The files of a project in which every run has been evaluated."""
    folders = {name: tmp_path / name for name in ("metrics", "training", "thresholds", "pictures", "datasets")}
    for folder in folders.values():
        folder.mkdir()
    for number, name in enumerate(ORDER):
        scores = SCORES | {"iou_mean": 0.3 + number / 20, "oracle": name in ORACLE}
        scores |= {"iou_low": 0.25, "iou_high": 0.75} if name != "em-sam" else {}
        (folders["metrics"] / f"{name}.json").write_text(json.dumps(scores))
        curve = "".join(f"{step / 20},0.5,0.4,{1 - step / 20}\n" for step in range(1, 20))
        (folders["thresholds"] / f"{name}.csv").write_text("threshold,iou,precision,recall\n" + curve)
        view = np.full((160, 652, 3), 30 * number, np.uint8)
        run_figure.write_png(folders["pictures"] / f"{name}.png", run_figure.grid([view], ["a"]))
    for name in settings.finetune:
        rows = "epoch,loss,val_loss,val_iou,lr,foreground,val_foreground\n"
        rows += "1,0.9,0.95,0.1,0.0001,0.2,0.3\n2,0.7,,nan,0.0001,0.2,0.3\n"
        (folders["training"] / f"{name}.csv").write_text(rows)
    for name in settings.datasets:
        splits = {"val": {"kept": 5}, "test": {"kept": 1980, "dropped": 3}, "train": {"kept": 20}}
        (folders["datasets"] / f"{name}.json").write_text(json.dumps(splits))
    return folders


def render(project, settings, path):
    rows = leaderboard.leaderboard(settings, project["metrics"])
    leaderboard.write_chart(rows, path / "chart.png")
    folders = {name: folder for name, folder in project.items() if name != "metrics"}
    leaderboard.write_html(path / "report.html", settings, rows, chart=path / "chart.png", **folders)
    return (path / "report.html").read_text("utf-8")


class Page(html.parser.HTMLParser):
    """Collects tags, attributes and the text of a page, as a browser would see them."""

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


# --- leaderboard


def test_rows_come_grouped_by_dataset_and_else_as_in_params(project, settings):
    rows = leaderboard.leaderboard(settings, project["metrics"])
    assert [row["run"] for row in rows] == ORDER
    assert all(tuple(row) == leaderboard.COLUMNS for row in rows)


def test_rows_say_how_a_run_came_about(project, settings):
    rows = {row["run"]: row for row in leaderboard.leaderboard(settings, project["metrics"])}
    training = {name: row["training"] for name, row in rows.items()}
    assert training == dict.fromkeys(ORDER, "zero-shot") | {"em-sam-20": "3 of 20 epochs", "covid-unet": "1 epoch"}
    assert rows["em-sam-20"]["prompt"] == "2 central points"
    source = {name: row["prompt_source"] for name, row in rows.items()}
    others = {"em-clipseg": "text", "fires-clipseg": "text + image", "covid-unet": "none"}
    others["covid-sam"] = "truth with jitter (oracle)"
    assert source == dict.fromkeys(ORACLE, "truth (oracle)") | others
    assert [rows[name]["data"] for name in ("em-sam", "fires-clipseg", "covid-sam")] == ["sample", "folder", "official"]
    weights = [rows[name]["checkpoints"] for name in ("em-sam", "em-clipseg", "covid-unet")]
    assert weights == ["tiny", "official", "local"]


def test_epochs_are_the_runs_own_without_a_limit(project):
    rows = leaderboard.leaderboard(params.parse(SETTINGS | {"scale": {}}), project["metrics"])
    assert rows[ORDER.index("em-sam-20")]["training"] == "20 epochs"


def test_csv_has_fixed_decimals_and_empty_fields(project, settings, tmp_path):
    leaderboard.write_leaderboard(leaderboard.leaderboard(settings, project["metrics"]), tmp_path / "board.csv")
    text = (tmp_path / "board.csv").read_bytes().decode()
    rows = list(csv.DictReader(text.splitlines()))
    assert "\r" not in text and text.endswith("\n") and tuple(rows[0]) == leaderboard.COLUMNS
    assert rows[1]["iou_low"] == rows[1]["published"] == ""
    assert (rows[0]["iou_mean"], rows[0]["pictures"], rows[3]["published"]) == ("0.3000", "48", "0.2540")
    assert rows[0]["prompt"] == f'"{EVIL}"'


@pytest.mark.parametrize("content", [None, "", "{", "[]", '{"iou_mean": NaN}', json.dumps({"iou_mean": 0.5})])
def test_missing_or_damaged_metrics_are_named(project, settings, content):
    path = project["metrics"] / "em-sam.json"
    path.unlink() if content is None else path.write_text(content)
    with pytest.raises(UserError, match=r"em-sam\.json: .*dvc repro"):
        leaderboard.leaderboard(settings, project["metrics"])


# --- chart


def test_chart_is_small_legible_and_equal_each_time(project, settings, tmp_path, monkeypatch):
    rows = leaderboard.leaderboard(settings, project["metrics"])
    leaderboard.write_chart(rows, tmp_path / "a.png")
    import matplotlib

    monkeypatch.setitem(matplotlib.rcParams, "font.size", 30.0)  # a user's own style
    leaderboard.write_chart(rows, tmp_path / "b.png")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert matplotlib.rcParams["font.size"] == 30.0
    assert (tmp_path / "a.png").stat().st_size < 100_000
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.width > 900 and picture.info.keys() <= {"transparency"}


def test_chart_of_many_runs_stays_small(project, settings, tmp_path):
    row = leaderboard.leaderboard(settings, project["metrics"])[0]
    leaderboard.write_chart([row | {"run": f"model-{n}", "dataset": f"set-{n // 5}"} for n in range(40)], tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size < 100_000


# --- page


def test_page_is_whole_and_needs_nothing_else(project, settings, tmp_path):
    text = render(project, settings, tmp_path)
    page = Page(text)
    assert page.open == []
    assert set(page.tags) <= {
        "html", "head", "meta", "title", "style", "body", "main", "header", "h1", "h2", "h3", "p", "div", "ul", "li",
        "b", "a", "br", "span", "table", "thead", "tbody", "tr", "th", "td", "img", "dl", "dt", "dd", "article",
        "figure", "figcaption", "svg", "path", "polyline", "circle", "text",
    }  # fmt: skip
    assert "://" not in text and "http:" not in text and "https:" not in text and "url(" not in text
    links = [value for _, name, value in page.attributes if name in ("href", "src")]
    assert all(link.startswith(("#run-", "data:image/png;base64,")) for link in links)
    assert not [name for _, name, _ in page.attributes if name.startswith("on")]
    anchors = {f"#{value}" for _, name, value in page.attributes if name == "id"}
    assert {link for link in links if link.startswith("#")} == anchors == {f"#run-{name}" for name in ORDER}
    policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
    assert ("meta", "content", policy) in page.attributes and "Content-Security-Policy" in text


def test_page_shows_words_as_words(project, settings, tmp_path):
    (project["datasets"] / "em.json").write_text(json.dumps({EVIL: {"kept": 1}, "note": EVIL}))
    page = Page(render(project, settings, tmp_path))
    assert "script" not in page.tags
    assert page.text.count("<script>alert(1)</script>") >= 4 and "{{ 7 * 7 }}" in page.text


def test_page_holds_the_files_themselves_and_says_what_they_show(project, settings, tmp_path):
    page = Page(render(project, settings, tmp_path))
    pictures = [value.split(",")[1] for tag, name, value in page.attributes if (tag, name) == ("img", "src")]
    files = [tmp_path / "chart.png", *(project["pictures"] / f"{name}.png" for name in ORDER)]
    assert [base64.b64decode(data) for data in pictures] == [file.read_bytes() for file in files]
    assert all(len(value) > 30 for tag, name, value in page.attributes if (tag, name) == ("img", "alt"))
    assert sum((tag, name) == ("img", "alt") for tag, name, _ in page.attributes) == len(files)
    charts = sum((tag, name) == ("svg", "aria-label") for tag, name, _ in page.attributes)
    assert charts == len(ORDER) + 2 * len(settings.finetune)


def test_page_is_equal_each_time_and_free_of_nan_dates_and_paths(project, settings, tmp_path):
    first = render(project, settings, tmp_path)
    assert first == render(project, settings, tmp_path)
    words = re.sub(r"base64,[^\"]*", "", first)
    assert not {"nan", "inf"} & set(re.findall(r"[a-z]+", words.lower()))
    assert not re.search(r"20\d\d-\d\d|\d\d:\d\d", words)
    assert str(tmp_path) not in words and "/somewhere" not in words


def test_page_marks_the_best_run_that_needs_no_oracle(project, settings, tmp_path):
    text = render(project, settings, tmp_path)
    marked = re.findall(r'<tr class="best">\s*<th scope="row"><a href="#run-([^"]+)"', text)
    assert marked == ["em-clipseg", "fires-clipseg", "covid-unet"]
    assert text.count('<span class="badge oracle">') == 2 * 4 + 1  # table, article, and the note that explains it


def test_page_says_that_a_small_run_is_not_the_study(project, settings, tmp_path):
    small = Page(render(project, settings, tmp_path)).text
    assert "not the study's numbers" in small and "at most 3 epochs" in small and "say nothing about" in small
    full = SETTINGS | {"scale": {}, "datasets": {name: {"reader": name} for name in SETTINGS["datasets"]}}
    assert "not the study's numbers" not in Page(render(project, params.parse(full), tmp_path)).text
    part = Page(render(project, params.parse(full | {"scale": {"max_images": 1}}), tmp_path)).text
    assert "at most 1 picture a split" in part and "say nothing about" not in part


def test_page_puts_the_scale_beside_what_is_published(project, settings, tmp_path):
    text = render(project, settings, tmp_path)
    row = re.search(r'<th scope="row"><a href="#run-covid-sam">.*?</tr>', text, re.DOTALL).group()
    cells = [" ".join(re.sub("<[^>]+>", " ", cell).split()) for cell in re.findall(r"<td.*?</td>", row, re.DOTALL)]
    assert cells[3:5] == ["0.851", "48 pictures, official; tiny weights"]


def test_best_single_masks_have_a_column_where_a_run_is_automatic(project, settings, tmp_path):
    assert "best single" not in render(project, settings, tmp_path)
    (project["metrics"] / "em-grid.json").write_text(json.dumps(SCORES | {"oracle": True, "iou_best_single": 0.1234}))
    text = render(project, settings, tmp_path)
    assert "best single<br>mask</th>" in text and text.count(">0.123<") == 1
    rows = {row["run"]: row for row in leaderboard.leaderboard(settings, project["metrics"])}
    assert rows["em-grid"]["iou_best_single"] == 0.1234 and rows["em-sam"]["iou_best_single"] is None


def test_dataset_table_has_a_row_a_split(project, settings, tmp_path):
    (project["datasets"] / "fires.json").write_text('{"foreground": 0.066321}')
    text = render(project, settings, tmp_path)
    cells = re.findall(r'<tr><th scope="row">(\w+)</th><td>(\w+)</td><td class="number">([\d,.–]+)', text)
    em, covid = ([(name, "train", "20"), (name, "val", "5"), (name, "test", "1,980")] for name in ("em", "covid"))
    assert ">0.066<" in text and cells == [*em, ("fires", "all", "–"), *covid]


@pytest.mark.parametrize("name", [
    "training/em-sam-20.csv", "thresholds/em-sam.csv", "pictures/em-sam.png", "datasets/em.json", "metrics/em-sam.json",
])  # fmt: skip
def test_a_missing_file_is_named_and_no_page_is_left(project, settings, tmp_path, name):
    (tmp_path / name).unlink()
    with pytest.raises(UserError, match=re.escape(str(tmp_path / name))):
        render(project, settings, tmp_path)
    assert not list(tmp_path.glob("*.html"))


def test_clouds_have_scores_of_their_own_and_no_boundary(project, settings, tmp_path):
    for name, key in (("em-clipseg", "part_miou"), ("fires-clipseg", "accuracy_top1")):
        path = project["metrics"] / f"{name}.json"
        scores = json.loads(path.read_text()) | {key: 0.678}
        del scores["boundary_iou"]
        path.write_text(json.dumps(scores))
    rows = {row["run"]: row for row in leaderboard.leaderboard(settings, project["metrics"])}
    assert rows["em-clipseg"]["boundary_iou"] is None and rows["em-clipseg"]["part_miou"] == 0.678
    assert rows["fires-clipseg"]["accuracy_top1"] == 0.678 and rows["em-sam"]["accuracy_top1"] is None
    text = Page(render(project, settings, tmp_path)).text
    assert text.count("part mIoU 0.678") == text.count("top-1 accuracy 0.678") == 1
