"""Tables, figures and pages, from rows alone. Imports no JAX."""
