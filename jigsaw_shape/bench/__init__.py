"""Many runs as one benchmark: which they are, how they are run, what came of each."""
