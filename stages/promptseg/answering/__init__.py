"""Questions asked of every picture of a container, and all masks that a model finds by itself."""
