"""What we know of a repository: its snapshots and its patch."""
