"""Predictions against the ground truth: counts, metrics, mask matching, intervals."""
