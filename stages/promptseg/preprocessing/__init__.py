"""From a dataset's samples to splits: filtered, tiled, split, previewed."""
