"""Files, locks, downloads, versions and the command line: nothing of the field."""
