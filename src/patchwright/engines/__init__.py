"""Engines: child processes that speak the OpenAI protocol."""
