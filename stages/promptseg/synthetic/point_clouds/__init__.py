"""Generated point clouds of objects."""
