"""Predictions against the truth: scores, matches, figures."""
