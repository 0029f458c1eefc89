"""Reports: a run's directory read back, counted, compared and shown; and a viewer for its trajectories."""
