"""The platform: adapters outside, use cases inside, facts and rules in the middle."""
