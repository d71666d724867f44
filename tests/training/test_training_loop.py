"""The training loop on a toy model: the best epoch, resuming, phases, EMA and losses that are not finite."""

import pytest
import torch
from promptseg.core.errors import UserError
from promptseg.nn import weights
from promptseg.training import checkpoint_manager, epochs
from promptseg.training.checkpoint_manager import CheckpointManager
from promptseg.training.curve import COLUMNS
from promptseg.training.optimizers import lr_at
from promptseg.training.running_metrics import EpochMetrics
from promptseg.training.training_run import PRETEXT, TRAIN, TrainingRun
from toy_training import STATEFUL, Killed, ToySegmenter, make_run, toy_config, toy_phase, toy_run, train_toy


@pytest.fixture(autouse=True)
def each_epoch(monkeypatch):
    """A checkpoint after each epoch, however short."""
    monkeypatch.setattr(checkpoint_manager, "SAVE_INTERVAL", 0.0)


@pytest.fixture
def rows(tmp_path):
    """Trains a run and returns the rows of its curve."""

    def call(run: TrainingRun) -> list[dict]:
        lines = train_toy(run, tmp_path)[1].splitlines()
        assert lines[0].split(",") == list(COLUMNS)
        return [dict(zip(COLUMNS, line.split(","), strict=True)) for line in lines[1:]]

    return call


@pytest.fixture
def saved_gain(tmp_path):
    return lambda: weights.read(tmp_path / "w")[1]["gain"]


@pytest.fixture
def validated(monkeypatch):
    """Sets the validation metrics of each epoch, and returns the weights that were validated."""

    def set_metrics(**values: list) -> list[torch.Tensor]:
        weights_of_epochs = []

        def validate(run, phase):
            epoch = len(weights_of_epochs)
            weights_of_epochs.append(run.segmenter.gain.detach().clone())
            metrics = {"loss": 1.0, "dice_loss": 0.5, "iou": 0.5, "foreground": 0.1, "target_foreground": 0.1}
            return EpochMetrics(**metrics | {key: given[epoch] for key, given in values.items()})

        monkeypatch.setattr(epochs, "validate", validate)
        return weights_of_epochs

    return set_metrics


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "muon"])
@pytest.mark.parametrize("killed_in", range(1, 6))
def test_a_run_resumes_to_the_same_bytes_in_whichever_epoch_it_was_killed(
    tmp_path, monkeypatch, capsys, optimizer, killed_in
):
    """Moments of the optimizer, EMA, schedule, curve and best weights are all those of an unbroken run."""

    def train(out: str) -> tuple[bytes, str]:
        return train_toy(make_run(pretext=2, **STATEFUL | {"optimizer": optimizer}), tmp_path, out)

    whole, real, left = train("whole"), epochs.validate, [killed_in]

    def validate(*args):
        left[0] -= 1
        if not left[0]:
            raise Killed
        return real(*args)

    monkeypatch.setattr(epochs, "validate", validate)
    with pytest.raises(Killed):
        train("broken")
    capsys.readouterr()
    assert train("broken") == whole
    resumed = f"resuming after epoch {killed_in - 1}" if killed_in > 1 else ""
    assert capsys.readouterr().err.strip() == resumed


@pytest.mark.parametrize(
    "settings, ious, best",
    [({"epochs": 4}, [0.3, 0.7, 0.7, 0.1], 2), ({"epochs": 4, "ema_decay": 0.9}, [0.3, 0.7, 0.7, 0.1], 2),
     ({"epochs": 4, "keep": "last"}, [0.3, 0.7, 0.7, 0.1], 4),
     ({"epochs": 6, "patience": 2, "keep": "last"}, [0.3, 0.7, 0.6, 0.7], 4),
     ({"epochs": 6, "patience": 2}, [0.3, 0.7, 0.6, 0.7], 2),
     ({"epochs": 2, "pretext": 2, "patience": 1}, [0.9, 0.95, 0.4, 0.2], 3)],
)  # fmt: skip
def test_the_earliest_of_the_best_weights_of_the_last_phase_are_saved_or_the_last_and_patience_ends_it(
    rows, validated, saved_gain, settings, ious, best
):
    after = validated(iou=[*ious, 0.5, 0.8])
    curve = rows(make_run(**settings))
    assert [float(row["val_iou"]) for row in curve] == ious and [row["epoch"] for row in curve] == list("1234")
    first = PRETEXT if "pretext" in settings else TRAIN
    assert [row["phase"] for row in curve] == [first, first, TRAIN, TRAIN]
    assert torch.equal(saved_gain(), after[best - 1])
    assert len({tuple(gain.flatten().tolist()) for gain in after}) == 4


def test_with_ema_the_average_is_validated_and_training_continues_from_the_weights(validated, tmp_path):
    after, run = validated(), make_run(epochs=1, ema_decay=0.9)
    train_toy(run, tmp_path)
    train_toy(make_run(epochs=1), tmp_path)
    average, plain = after
    assert torch.equal(run.segmenter.gain.detach(), plain) and not torch.equal(average, plain)


def test_without_a_validation_split_the_last_epoch_is_saved_of_trained_parameters_alone(rows, saved_gain, tmp_path):
    run = make_run(val=0, weight_decay=0.5)
    assert [row["val_iou"] for row in rows(run)] == ["", "", ""]
    assert torch.equal(saved_gain(), run.segmenter.gain.detach())
    assert list(weights.read(tmp_path / "w")[1]) == run.trained_parameters == ["gain", "mix"]
    assert torch.equal(run.segmenter.frozen, torch.ones(1)) and not run.segmenter.frozen.requires_grad


def test_the_loss_falls_and_seeds_differ(rows, tmp_path):
    run = make_run(epochs=6)
    run.segmenter.gain.data.fill_(-1.0)  # the object is marked as background
    losses = [float(row["loss"]) for row in rows(run)]
    assert losses[-1] < 0.9 * losses[0]
    first, again, other = (train_toy(make_run(seed=seed), tmp_path) for seed in (0, 0, 1))
    assert again == first != other


def test_a_foreground_that_collapses_is_warned_of_once(rows, validated, capsys):
    validated(foreground=[0.1, 0.9, 0.95, 1.0], target_foreground=[0.12] * 4)
    rows(make_run(epochs=4))
    (warning,) = (line for line in capsys.readouterr().err.splitlines() if "warning" in line)
    assert warning.startswith(
        "warning: epoch 3: predicted foreground 0.950, ground truth 0.120 on validation images for 2 epochs"
    )


def test_a_non_finite_loss_names_the_images_and_where_the_best_weights_are(tmp_path):
    run = make_run(epochs=9)
    real, seen = run.phases[0].compute_losses, []

    def break_late(split, items, epoch, sums):
        seen.append(epoch)
        return [values * (float("nan") if 3 in seen else 1.0) for values in real(split, items, epoch, sums)]

    with pytest.raises(UserError) as error:
        train_toy(toy_run([toy_phase(break_late, epochs=9)], run.segmenter), tmp_path)
    message, (best,) = str(error.value), (tmp_path / "w.resume").glob("best-*")
    assert message.startswith("epoch 3: the loss is not finite at images train/") and "\n" not in message
    assert message.endswith("lower train.lr or set train.max_grad_norm")
    assert f"the best weights so far stay in {best} until" in message and weights.read(best)[1]["gain"].isfinite().all()
    assert not (tmp_path / "w").exists() and not (tmp_path / "w.csv").exists()


def test_weights_of_a_pretext_task_are_never_called_the_best(tmp_path):
    run = make_run(pretext=1, epochs=1)
    broken = toy_phase(lambda *_: [run.segmenter.gain.sum()[None] * float("nan")], epochs=1)
    with pytest.raises(UserError) as error:
        train_toy(toy_run([run.phases[0], broken], run.segmenter), tmp_path)
    assert str(error.value).startswith("epoch 2: the loss is not finite") and "best" not in str(error.value)


def test_the_run_is_not_written_when_the_best_weights_are_damaged(monkeypatch, tmp_path):
    real = CheckpointManager.best_folder

    def damaged(self):
        path = real(self) / weights.TENSORS
        path.write_bytes(path.read_bytes()[:-1])
        return path.parent

    monkeypatch.setattr(checkpoint_manager, "SAVE_INTERVAL", 1e9)
    monkeypatch.setattr(CheckpointManager, "best_folder", damaged)
    with pytest.raises(UserError, match="missing or changed"):
        train_toy(make_run(epochs=1), tmp_path)
    assert not (tmp_path / "w").exists()


def test_epochs_are_counted_and_the_schedule_spans_within_a_phase(rows):
    model, calls = ToySegmenter(), []
    settings = dict(schedule="cosine", warmup=0.3, batch_size=2, grad_accumulation_steps=2)
    config = toy_config(**settings)

    def losses(split, items, epoch, sums):
        calls.append(epoch)
        return epochs.mask_losses(model, config, split, items, epoch, sums)

    curve = rows(toy_run([toy_phase(losses, name, **settings) for name in (PRETEXT, TRAIN)], model))
    assert calls == [number for epoch in (1, 2, 3) for number in 6 * [epoch] + 2 * [0]] * 2  # batches of 11 and of 3
    expected = [lr_at(config, step, 9) for step in (2, 5, 8)] * 2
    assert [float(row["lr"]) for row in curve] == pytest.approx(expected, rel=1e-5)
