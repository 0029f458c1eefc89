"""The gateway: one OpenAI-compatible endpoint in front of any engine, with what agents need."""
