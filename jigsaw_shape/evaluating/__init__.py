"""What `evaluate` is made of: models opened, suites run, results written."""
