"""Official files: HTTP with resume and checksums, archives, Kaggle, released checkpoints."""
