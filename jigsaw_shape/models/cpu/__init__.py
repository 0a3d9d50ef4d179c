"""Convolutions in the form that XLA's CPU backend runs fast."""
