"""The protocol as data: no I/O, no clock, used by both ends."""
