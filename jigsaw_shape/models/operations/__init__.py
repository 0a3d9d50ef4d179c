"""Convolutions and max pooling, which have a form for each platform."""
