"""The runner: every attempt at every instance, a few at once, each kept as soon as it is over."""
