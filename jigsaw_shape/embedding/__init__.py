"""Features of folders of images: computed, kept in files, searched."""
