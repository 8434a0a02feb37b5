"""Telemetry: what an operator sees of a process, measured and exposed for Prometheus."""
