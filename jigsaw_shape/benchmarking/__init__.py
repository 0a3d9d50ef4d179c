"""Many runs as one benchmark: which they are, and how they are run."""
