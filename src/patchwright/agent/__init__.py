"""The agent: its loop, its context budget, its profiles and its sessions."""
