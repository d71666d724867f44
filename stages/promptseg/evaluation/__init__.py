"""Predictions against the ground truth: metrics, mask matching, intervals."""
