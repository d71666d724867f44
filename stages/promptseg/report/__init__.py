"""Leaderboard, figures and the page with all runs side by side."""
