"""The gateway: translates the OpenAI REST and SSE surface to the service's gRPC."""
