"""A benchmark's tables, figures and page."""
