"""The command line: one file a command. Parses options, builds objects, renders events."""
