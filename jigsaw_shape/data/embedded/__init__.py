"""The embedded data set: drawn by the program, no files."""
