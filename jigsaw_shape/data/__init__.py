"""Data sets, splits and the way from stored images to batches."""
