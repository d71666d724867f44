"""The study `today`: DVC resolves it, and a run of each kind works on stand-ins with random weights."""

import contextlib
import shutil

import pytest
from dvc.repo import Repo
from promptseg import studies
from promptseg.core import study
from promptseg.core.params import Scale
from promptseg.data import records
from promptseg.download import checkpoints, raw_data
from promptseg.evaluation import evaluate
from promptseg.inference import cascade, prediction
from promptseg.preprocessing import prepare
from promptseg.training import setup, trainer

STUDY = study.load(studies.FOLDER / "today.yaml")
STUDIED = ("clipseg", "sam", "sam2", "filled_box", "whole_image", "random_mask")  # rehearsed by the default study
SCALE = Scale(data="sample", checkpoints="tiny", max_epochs=1, max_images=2)

pytestmark = pytest.mark.xdist_group("today")  # the runs share the splits and checkpoints


def one_of_each(runs):
    """The first run of each model and kind of prompt that no other study has."""
    kinds = {}
    for name, run in runs.items():
        if run.model not in STUDIED:
            kinds.setdefault((run.model, run.prompt.kind), name)
    return list(kinds.values())


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """Returns functions for the inputs of a run: splits of a stand-in, and a checkpoint with random weights."""
    root = tmp_path_factory.mktemp("today")

    def splits(name):
        out, entry = root / "prepared" / name, STUDY.datasets[name]
        if not out.is_dir():
            raw = root / "raw" / entry.reader
            if not raw.is_dir():
                raw_data.obtain(entry.reader, STUDY.download[entry.reader], SCALE, STUDY.seed, raw)
            prepare.prepare(name, entry, SCALE.max_images, STUDY.seed, prepare.Paths(raw, out, root / f"{name}.json"))
        return out

    def checkpoint(name):
        out = root / "checkpoints" / name
        if not out.is_dir():
            checkpoints.obtain(name, STUDY.models[name], SCALE, STUDY.seed, out)
        return out

    def inputs(run):
        folder = splits(run.dataset)
        return prediction.Inputs(
            folder / "test.parquet", checkpoint(run.model), root / "cache", train=folder / "train.parquet"
        )

    return root, splits, checkpoint, inputs


def scored(root, run, inputs, predictions):
    """Evaluate predictions."""
    (root / "scores").mkdir(exist_ok=True)
    outputs = evaluate.Outputs(root / "metrics.json", root / "scores" / "run.parquet", root / "plots")
    evaluate.evaluate(inputs.split, predictions, outputs)
    assert len(records.open_predictions(predictions)) == len(records.open_split(inputs.split)) > 0
    shutil.rmtree(root / "plots")


def test_dvc_resolves_the_graph_of_the_study(root, tmp_path, monkeypatch):
    for name in ("dvc.yaml", ".dvcignore"):
        shutil.copyfile(root / name, tmp_path / name)
    shutil.copyfile(studies.FOLDER / "today.yaml", tmp_path / "params.yaml")
    monkeypatch.chdir(tmp_path)  # by which DVC names stages
    with contextlib.closing(Repo.init(str(tmp_path), no_scm=True)) as repo:
        stages = {stage.addressing for stage in repo.index.stages}
    expected = {f"evaluate_zero_shot@{name}" for name in STUDY.zero_shot}
    expected |= {f"evaluate_cascade@{name}" for name in STUDY.cascade}
    assert expected | {f"evaluate_finetuned@{name}" for name in STUDY.finetune} <= stages


@pytest.mark.slow
@pytest.mark.parametrize("name", one_of_each(STUDY.zero_shot))
def test_a_run_of_each_model_and_kind_of_prompt_is_predicted_and_scored(project, name):
    root, _, _, inputs = project
    run, out = STUDY.zero_shot[name], root / f"{name}.parquet"
    prediction.predict(run, inputs(run), out)
    scored(root, run, inputs(run), out)


@pytest.mark.slow
@pytest.mark.parametrize("model", sorted({STUDY.zero_shot[run.source].model for run in STUDY.cascade.values()}))
def test_a_cascade_from_each_model_is_predicted_and_scored(project, model):
    root, _, _, inputs = project
    name, run = next((n, r) for n, r in STUDY.cascade.items() if STUDY.zero_shot[r.source].model == model)
    first, source, out = STUDY.zero_shot[run.source], root / f"{run.source}.parquet", root / f"{name}.parquet"
    if not source.is_file():
        prediction.predict(first, inputs(first), source)
    cascade.predict_cascade(run, inputs(run), source, out)
    scored(root, run, inputs(run), out)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name, run in STUDY.finetune.items() if run.model not in STUDIED])
def test_each_fine_tuned_run_is_trained_for_an_epoch(project, name):
    root, splits, checkpoint, _ = project
    run = STUDY.finetune[name]
    folder = splits(run.dataset)
    given = setup.Inputs(folder / "train.parquet", folder / "val.parquet", checkpoint(run.model), root / "cache")
    out = trainer.Outputs(root / "resume" / name, root / "weights" / name, root / f"{name}.csv")
    trainer.finetune(setup.Job(run, SCALE.max_epochs, STUDY.seed), given, out)
    assert (root / "weights" / name / "model.safetensors").is_file()
    assert len((root / f"{name}.csv").read_text().splitlines()) == 2
