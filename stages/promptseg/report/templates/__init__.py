"""Template of the report (`page`)."""
