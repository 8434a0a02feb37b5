"""Ports: the interfaces between core and its adapters. Each is small and states its promises.

Every method raises ArtcafeError(unavailable) when the thing behind it is away; after a write that
failed so, the outcome is unknown. Tenant data is always asked for tenant first.
"""
