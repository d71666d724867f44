"""Prediction, automatic masks, cascades, embedding cache."""
