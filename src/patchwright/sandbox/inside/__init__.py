"""What runs inside a sandbox: standard library only, any Python from 3.8, sent there over stdin."""
