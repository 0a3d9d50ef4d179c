"""Convolutions and pooling in the form that XLA's CPU backend runs fast."""
