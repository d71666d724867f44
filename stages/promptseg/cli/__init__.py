"""The commands that a person types after `promptseg`."""
