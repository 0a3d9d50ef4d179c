"""A run on disk: its directory, rows, fingerprint, logbook and records. No model."""
