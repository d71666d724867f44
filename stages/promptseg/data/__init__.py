"""Splits as Parquet shards, images and TIFF stacks, masks, tiles and point clouds."""
