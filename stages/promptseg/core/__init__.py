"""Settings, files, errors, processes, and how a stage runs."""
