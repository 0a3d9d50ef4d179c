"""Names of the files in a run's directory, beside `rows.FILE_NAME`."""

CONFIG = "config.json"  # what the run is made of
STARTS = "run.json"  # the circumstances of each of its starts
LOCK = ".lock"  # held while it trains
