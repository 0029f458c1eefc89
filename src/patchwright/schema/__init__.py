"""Records that cross package borders or are written to disk: frozen, strict, versioned."""
