"""The suites of `evaluate`: one file each, and one pass over images for all."""
