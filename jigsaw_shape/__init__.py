"""Shape-biased features by solving jigsaw puzzles of stylized images, in JAX/Flax."""

__version__ = "0.1.0"
