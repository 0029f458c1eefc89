"""Checkpoints of Mistral's decoder in the formats that it is published in: read, written, converted, checked."""
