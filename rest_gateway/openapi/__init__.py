"""The gateway's own description: an OpenAPI document of every route."""
