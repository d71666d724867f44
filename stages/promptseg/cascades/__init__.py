"""Text to masks: one network's coarse answer becomes the prompts of another."""
