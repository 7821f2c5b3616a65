"""The service: owns models and engine workers and answers gRPC. It never imports OpenVINO."""

from importlib.metadata import version

__version__ = version("openvino-server")
