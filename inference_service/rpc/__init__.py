"""The gRPC surface: thin servicers, mapping, interceptors."""
