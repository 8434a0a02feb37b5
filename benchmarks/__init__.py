"""Measures the platform beside other programs that do a part of its work: `make bench`."""
