"""`/v1/chat/completions`: what clients send, and what they get."""
