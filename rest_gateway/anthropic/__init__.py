"""Anthropic's wire formats: messages, their events and errors."""
