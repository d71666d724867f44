"""The page of the report: complete, self-contained, and nothing runs in it but its own script."""

import base64
import hashlib
import io
import json
import re

import numpy as np
import pytest
from page_text import Page, details, plain
from PIL import Image
from promptseg.core.errors import UserError
from promptseg.report import searches
from promptseg.report.verdict import Verdict
from report_project import BEFORE, EVIL, ORDER, SETTINGS, project, study, unchanged, write_figure

__all__ = ["project", "unchanged"]


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


def test_page_says_that_a_small_run_is_not_the_study(unchanged, project):
    small = Page(unchanged.text).text
    assert "not the numbers of the full study" in small and "at most 3 epochs" in small and "say nothing about" in small
    full = {"scale": {}, "download": {name: {"reader": name} for name in SETTINGS["download"]}}
    assert "not the numbers of the full study" not in Page(project.render(study(**full))).text
    part = Page(project.render(study(**full | {"scale": {"max_images": 1}}))).text
    assert "at most 1 image a split" in part and "say nothing about" not in part
    models = {**SETTINGS["models"], "sam": {"source": "../sam"}, "clipseg": {"source": "tiny"}}
    mixed = Page(project.render(study(**full | {"models": models}))).text
    assert "not the numbers of the full study" not in mixed and "took the place of the released clipseg." in mixed


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
