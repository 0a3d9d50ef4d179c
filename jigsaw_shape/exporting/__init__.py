"""Trained encoders in the formats of other tools; each file is checked."""
