"""Tiny checkpoints that are shipped, a folder for each model."""

from pathlib import Path

FOLDER = Path(__file__).parent
