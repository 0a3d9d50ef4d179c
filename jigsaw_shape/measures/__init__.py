"""What is measured, as pure functions of arrays."""
