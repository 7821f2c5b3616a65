"""The engine worker: a process that runs one replica of one model."""
