"""From runs' rows to tables, figures and pages. Imports no JAX."""
