"""`/v1/completions`: what clients send, and what they get."""
