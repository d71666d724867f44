"""Fine-tuning: trainer, losses, optimizers, schedule, augmentation, checkpoints, early stopping.

Where to look: `trainer` runs the epochs and is what a stage calls; `setup` loads a run; `epochs` is one pass over a
split. A new loss is a function in `losses`, a new optimizer one in `optimizers`.
"""
