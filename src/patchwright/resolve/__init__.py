"""An issue in, a verified patch out: localise, reproduce, propose, verify, select."""
