"""Between messages and what a model reads and writes: templates and tool-call formats."""
