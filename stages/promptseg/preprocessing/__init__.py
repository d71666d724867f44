"""From a dataset's pictures to containers: chosen, cut, filtered, split, shown."""
