"""An evaluation's tables, figures and page."""
