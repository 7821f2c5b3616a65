"""Engine workers seen from the service: their process, their protocol, their streams."""
