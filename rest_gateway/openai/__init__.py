"""The OpenAI wire format: requests, responses, events and errors."""
