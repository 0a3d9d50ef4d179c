"""The compiled step and what surrounds it: losses, optimizers, checkpoints, rows."""
