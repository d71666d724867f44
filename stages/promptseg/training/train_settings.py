"""Checks of `train` settings that need the registries of losses and optimizers."""

from promptseg.core.errors import UserError
from promptseg.core.train_config import Train
from promptseg.training import losses, optimizers

REQUIRED = ("trainable", "loss", "batch_size", "lr")  # from params.yaml or from the model's TRAIN_DEFAULTS


def check(config: Train) -> None:
    """Check settings that are completed with the model's defaults (`Train.completed`).

    Raises:
        UserError: a required key is missing, or the loss or the optimizer is unknown; the known ones are listed.
    """
    for key in REQUIRED:
        if getattr(config, key) is None:
            raise UserError(f"params.yaml: train.{key}: missing, and the model has no default for it")
    losses.get(config.loss)
    optimizers.get(config.optimizer)
