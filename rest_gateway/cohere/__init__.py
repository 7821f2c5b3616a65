"""Cohere's wire format for reranking, which vLLM and Jina share, and its translation."""
