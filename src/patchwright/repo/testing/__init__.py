"""A user's test command: run with per-test outcomes, compared before and after, narrowed to what is near."""
