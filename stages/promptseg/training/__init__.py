"""Fine-tuning: trainer, losses, optimizers, schedule, augmentation, checkpoints."""
