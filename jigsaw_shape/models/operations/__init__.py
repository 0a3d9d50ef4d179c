"""Convolutions and pooling, in the form that each platform computes fastest."""
