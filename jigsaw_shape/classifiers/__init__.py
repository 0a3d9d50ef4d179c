"""Networks that answer images: opened here, all of one type."""
