"""What a person types: `promptseg segment`, `verify`, `doctor`, `check`, `repro`."""
