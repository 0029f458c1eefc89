"""Models: the catalogue, downloads, GGUF metadata and the memory plan."""
