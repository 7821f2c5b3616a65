"""Protobuf messages and gRPC stubs of OpenVINO-Server, one module for each proto file."""
