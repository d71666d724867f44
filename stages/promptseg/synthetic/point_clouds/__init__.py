"""Point clouds of drawn things."""
