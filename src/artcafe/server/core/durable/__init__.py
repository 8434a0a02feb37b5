"""Durable channels as humans see them: what is stored, and who shares it."""
