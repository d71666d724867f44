"""Inspection of a folder of images: what it holds, and a small study that fits it (`promptseg init`)."""
