"""Stylizing outside of training: folders of images, and fitting a stylizer."""
