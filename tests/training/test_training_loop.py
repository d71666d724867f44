"""The training loop on a toy model: the best epoch, resuming, phases, EMA and losses that are not finite."""

import functools

import pytest
import torch
from promptseg.core.errors import UserError
from promptseg.nn import weights
from promptseg.training import checkpoint_manager, epochs, trainer
from promptseg.training.checkpoint_manager import CheckpointManager
from promptseg.training.curve import COLUMNS
from promptseg.training.running_metrics import EpochMetrics
from promptseg.training.schedule import lr_at
from promptseg.training.training_run import PRETEXT, TRAIN, Phase, TrainingRun
from toy_training import TRAINABLE, ToySegmenter, toy_checkpoints, toy_config, toy_phase, toy_run

STATEFUL = {
    "epochs": 4, "optimizer": "adamw", "weight_decay": 0.1, "ema_decay": 0.7, "schedule": "cosine", "warmup": 0.3,
    "grad_accumulation_steps": 2, "max_grad_norm": 0.05,
}  # fmt: skip


@pytest.fixture(autouse=True)
def each_epoch(monkeypatch):
    """A checkpoint after each epoch, however short."""
    monkeypatch.setattr(checkpoint_manager, "SAVE_INTERVAL", 0.0)


def make_run(pretext: int = 0, seed: int = 0, val: int = 3, **train) -> TrainingRun:
    model, config = ToySegmenter(), toy_config(**train)
    losses = functools.partial(epochs.mask_losses, model, config)
    phases = [Phase(TRAIN, config.epochs, config, list(TRAINABLE), losses)]
    if pretext:
        pretext_losses = functools.partial(epochs.pretext_losses, model)
        plain = config.model_copy(update={"ema_decay": None})
        phases.insert(0, Phase(PRETEXT, pretext, plain, list(TRAINABLE), pretext_losses, (1,)))
    return toy_run(phases, model, val, seed)


@pytest.fixture
def train(tmp_path):
    """Trains a run and returns the bytes of its weights and its curve."""

    def call(run: TrainingRun, out: str = "w") -> tuple[bytes, str]:
        outputs = trainer.Outputs(tmp_path / f"{out}.resume", tmp_path / out, tmp_path / f"{out}.csv")
        trainer.train(run, toy_checkpoints(outputs.resume), outputs)
        assert not outputs.resume.exists()
        return (outputs.weights / weights.TENSORS).read_bytes(), outputs.curve.read_text()

    return call


def rows(curve: str) -> list[dict]:
    return [dict(zip(COLUMNS, line.split(","), strict=True)) for line in curve.splitlines()[1:]]


class Killed(BaseException):
    """Stands for a kill: nothing catches it."""


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "muon"])
@pytest.mark.parametrize("pretext, killed_in", [(0, 1), (0, 2), (0, 4), (2, 1), (2, 2), (2, 3), (2, 5)])
def test_a_run_resumes_to_the_same_bytes_in_whichever_epoch_it_was_killed(
    train, monkeypatch, capsys, optimizer, pretext, killed_in
):
    """Moments of the optimizer, EMA, schedule, curve and best weights are all those of an unbroken run."""
    settings = STATEFUL | {"optimizer": optimizer}
    whole = train(make_run(pretext, **settings), "whole")
    real, left = epochs.validate, [killed_in]

    def validate(*args):
        left[0] -= 1
        if not left[0]:
            raise Killed
        return real(*args)

    monkeypatch.setattr(epochs, "validate", validate)
    with pytest.raises(Killed):
        train(make_run(pretext, **settings), "broken")
    capsys.readouterr()
    assert train(make_run(pretext, **settings), "broken") == whole
    resumed = f"resuming after epoch {killed_in - 1}" if killed_in > 1 else ""
    assert capsys.readouterr().err.strip() == resumed


def test_an_interrupted_run_without_its_optimizer_state_would_differ(train, monkeypatch):
    """So that the test above means something."""
    whole = train(make_run(**STATEFUL), "whole")
    real, left = epochs.validate, [3]

    def validate(*args):
        left[0] -= 1
        if not left[0]:
            raise Killed
        return real(*args)

    monkeypatch.setattr(epochs, "validate", validate)
    with pytest.raises(Killed):
        train(make_run(**STATEFUL), "broken")
    monkeypatch.setattr(
        trainer.OptimizerSteps, "load_state_dict", lambda self, state, step: setattr(self, "step", step)
    )
    assert train(make_run(**STATEFUL), "broken") != whole


def test_the_optimizer_starts_afresh_in_each_phase(train, monkeypatch):
    loaded = []
    monkeypatch.setattr(trainer.OptimizerSteps, "load_state_dict", lambda self, *args: loaded.append(args))
    train(make_run(pretext=2, epochs=2))
    assert loaded == []


@pytest.fixture
def validated(monkeypatch):
    """Sets the validation metrics of each epoch, and returns the weights that were validated."""

    def set_metrics(**values: list) -> list[torch.Tensor]:
        weights_of_epochs = []

        def validate(run, phase):
            epoch = len(weights_of_epochs)
            weights_of_epochs.append(run.segmenter.gain.detach().clone())
            metrics = {"loss": 1.0, "iou": 0.5, "foreground": 0.1, "target_foreground": 0.1}
            return EpochMetrics(**metrics | {key: given[epoch] for key, given in values.items()})

        monkeypatch.setattr(epochs, "validate", validate)
        return weights_of_epochs

    return set_metrics


def saved(tmp_path, out: str = "w") -> torch.Tensor:
    return weights.read(tmp_path / out)[1]["gain"]


@pytest.mark.parametrize("ema_decay", [None, 0.9])
def test_the_weights_that_were_validated_best_are_saved(train, validated, tmp_path, ema_decay):
    after = validated(iou=[0.3, 0.7, 0.7, 0.1])
    _, curve = train(make_run(epochs=4, ema_decay=ema_decay))
    assert [row["val_iou"] for row in rows(curve)] == ["0.3", "0.7", "0.7", "0.1"]
    assert torch.equal(saved(tmp_path), after[1])  # the earlier of two equals
    assert len({tuple(gain.flatten().tolist()) for gain in after}) == 4


def test_with_ema_the_average_is_validated_and_training_continues_from_the_weights(train, validated, tmp_path):
    after = validated()
    run = make_run(epochs=1, ema_decay=0.9)
    train(run, "ema")
    train(make_run(epochs=1), "plain")
    average, plain = after
    assert torch.equal(run.segmenter.gain.detach(), plain) and not torch.equal(average, plain)


def test_training_stops_when_the_best_epoch_is_patience_epochs_old(train, validated, tmp_path):
    after = validated(iou=[0.3, 0.7, 0.6, 0.7, 0.5, 0.8])
    _, curve = train(make_run(epochs=6, patience=2))
    assert [row["val_iou"] for row in rows(curve)] == ["0.3", "0.7", "0.6", "0.7"]
    assert torch.equal(saved(tmp_path), after[1])


def test_the_best_epoch_of_a_pretext_task_is_not_saved(train, validated, tmp_path):
    after = validated(iou=[0.9, 0.95, 0.4, 0.2])
    _, curve = train(make_run(pretext=2, epochs=2))
    assert [row["phase"] for row in rows(curve)] == ["pretext", "pretext", "train", "train"]
    assert [row["epoch"] for row in rows(curve)] == ["1", "2", "3", "4"]
    assert torch.equal(saved(tmp_path), after[2])


def test_without_a_validation_split_the_last_epoch_is_saved(train, tmp_path):
    run = make_run(val=0)
    _, curve = train(run)
    assert [row["val_iou"] for row in rows(curve)] == ["", "", ""]
    assert torch.equal(saved(tmp_path), run.segmenter.gain.detach())


def test_only_trained_parameters_are_saved_and_the_others_do_not_change(train, tmp_path):
    run = make_run(weight_decay=0.5)
    train(run)
    assert list(weights.read(tmp_path / "w")[1]) == run.trained_parameters == ["gain", "mix"]
    assert torch.equal(run.segmenter.frozen, torch.ones(1)) and not run.segmenter.frozen.requires_grad


def test_the_loss_falls_and_seeds_differ(train):
    run = make_run(epochs=6)
    run.segmenter.gain.data.fill_(-1.0)  # the object is marked as background
    losses = [float(row["loss"]) for row in rows(train(run, "worst")[1])]
    assert losses[-1] < 0.9 * losses[0]
    first = train(make_run(epochs=6), "a")
    assert train(make_run(epochs=6), "b") == first and train(make_run(epochs=6, seed=1), "c") != first


def test_a_foreground_that_collapses_is_warned_of_once(train, validated, capsys):
    validated(foreground=[0.1, 0.9, 0.95, 1.0], target_foreground=[0.12] * 4)
    train(make_run(epochs=4))
    warnings = [line for line in capsys.readouterr().err.splitlines() if "warning" in line]
    assert len(warnings) == 1 and warnings[0].startswith(
        "warning: epoch 3: predicted foreground 0.950, ground truth 0.120 on validation images for 2 epochs"
    )


def test_a_non_finite_loss_names_the_images_and_where_the_best_weights_are(train, tmp_path):
    run = make_run(epochs=9)
    real, losses = run.phases[0].compute_losses, []

    def break_late(split, items, epoch, sums):
        losses.append(epoch)
        factor = float("nan") if losses.count(3) else 1.0
        return [values * factor for values in real(split, items, epoch, sums)]

    broken = toy_run([toy_phase(break_late, epochs=9)], run.segmenter)
    with pytest.raises(UserError) as error:
        train(broken)
    message = str(error.value)
    assert message.startswith("epoch 3: the loss is not finite at images train/")
    assert message.endswith("lower train.lr or set train.max_grad_norm") and "\n" not in message
    (best,) = (tmp_path / "w.resume").glob("best-*")
    assert f"the best weights so far stay in {best} until" in message and weights.read(best)[1]["gain"].isfinite().all()
    assert not (tmp_path / "w").exists() and not (tmp_path / "w.csv").exists()


def test_the_run_is_not_written_when_the_best_weights_are_damaged(train, monkeypatch, tmp_path):
    real = CheckpointManager.best_folder

    def damaged(self):
        folder = real(self)
        path = folder / weights.TENSORS
        path.write_bytes(path.read_bytes()[:-1])
        return folder

    monkeypatch.setattr(checkpoint_manager, "SAVE_INTERVAL", 1e9)
    monkeypatch.setattr(CheckpointManager, "best_folder", damaged)
    with pytest.raises(UserError, match="missing or changed"):
        train(make_run(epochs=1))
    assert not (tmp_path / "w").exists()


def test_epochs_are_counted_within_a_phase(train):
    model, calls = ToySegmenter(), []

    def losses(split, items, epoch, sums):
        calls.append(epoch)
        return epochs.mask_losses(model, config, split, items, epoch, sums)

    config = toy_config(epochs=2, batch_size=11)
    phases = [toy_phase(losses, name, epochs=2, batch_size=11) for name in (PRETEXT, TRAIN)]
    train(toy_run(phases, model))
    assert calls == [1, 0, 2, 0, 1, 0, 2, 0]


def test_the_schedule_spans_the_phase(train):
    run = make_run(
        epochs=3, schedule="cosine", warmup=0.3, batch_size=2, grad_accumulation_steps=2
    )  # 6 batches, 3 steps
    _, curve = train(run)
    config = run.phases[0].config
    expected = [lr_at(config, step, 9) for step in (2, 5, 8)]
    assert [float(row["lr"]) for row in rows(curve)] == pytest.approx(expected, rel=1e-5)


def test_weights_of_a_pretext_task_are_never_called_the_best(train):
    run = make_run(pretext=1, epochs=1)
    broken = toy_phase(lambda *_: [run.segmenter.gain.sum()[None] * float("nan")], epochs=1)
    with pytest.raises(UserError) as error:
        train(toy_run([run.phases[0], broken], run.segmenter))
    assert str(error.value).startswith("epoch 2: the loss is not finite") and "best" not in str(error.value)
