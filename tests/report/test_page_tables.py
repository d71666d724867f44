"""The tables of the report's page: leaderboards, the glance, gains, folds and splits."""

import json
import re

from page_text import Page, board, details, names, plain, table
from promptseg.report import page
from report_project import BEFORE, ORDER, SETTINGS, project, study, unchanged

__all__ = ["project", "unchanged"]

BOARDS = ("Somebody prompts", "Nobody prompts")
COLUMNS = [
    "run", "dataset", "model", "prompt", "IoU, 95 % interval", "0 to 1", "floor", "reported IoU", "pooled IoU",
    "mean IoU", "mean Dice", "pooled Dice", "boundary IoU", "scale",
]  # fmt: skip


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
