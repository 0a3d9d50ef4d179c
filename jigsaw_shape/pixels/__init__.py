"""What is done to pixels on the device: augmentation and the puzzle."""
