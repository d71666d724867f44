"""What every stage stands on: settings, files, errors, and how a stage runs."""
