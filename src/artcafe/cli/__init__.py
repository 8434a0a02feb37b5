"""The command line: one command or group of commands per file. It prints; what it says it asks the SDK."""
