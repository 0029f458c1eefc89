"""What the policy can call. Each tool has its description in a `.md` file beside it."""
