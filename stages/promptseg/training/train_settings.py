"""Checks of `train` settings that need the registries of losses and optimizers."""

from promptseg.core.errors import UserError
from promptseg.core.train_config import CompleteTrain, Train
from promptseg.training import event_log, losses, optimizers

REQUIRED = ("trainable", "loss", "batch_size", "lr")  # from params.yaml or from the model's TRAIN_DEFAULTS


def check(config: Train) -> CompleteTrain:
    """Check settings that are completed with the model's defaults (`Train.completed`).

    Returns:
        The same settings, with `images_per_batch` as batch_size.

    Raises:
        UserError: a required key is missing, the loss or the optimizer is unknown (the known ones are listed), or what
            `log` needs is not installed.
    """
    for key in REQUIRED:
        if getattr(config, key) is None:
            raise UserError(f"params.yaml: train.{key}: missing, and the model has no default for it")
    complete = CompleteTrain.model_construct(**{**dict(config), "batch_size": config.images_per_batch})
    losses.get(complete.loss)
    optimizers.get(complete.optimizer)
    event_log.check(complete.log)
    return complete
