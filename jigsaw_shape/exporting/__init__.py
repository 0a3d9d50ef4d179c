"""A trained encoder in the formats of other tools, each checked against the run's."""
