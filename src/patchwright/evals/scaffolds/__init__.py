"""Scaffolds: whose agent works on an instance, and how."""
