"""Policies: the model being sampled, behind an endpoint, scripted, or replayed from a trajectory."""
