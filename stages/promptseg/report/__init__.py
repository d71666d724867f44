"""Leaderboard, figures and the page that compares all runs."""
