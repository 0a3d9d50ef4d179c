"""Foreign weights in and out: found, read, renamed."""
