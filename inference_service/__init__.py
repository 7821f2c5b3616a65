"""The service: owns models and engine workers and answers gRPC. It never imports OpenVINO."""
