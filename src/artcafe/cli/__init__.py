"""The command line: one command or group of commands per file. It parses and prints; the work is done by the
SDK."""
