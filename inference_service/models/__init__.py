"""Models: what is on disk, and which of it runs."""
