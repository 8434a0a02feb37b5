"""The SDK: connect an agent, publish, subscribe, and manage a tenant over REST.

`from artcafe import Client` is the way in; the names that callers need are exported there.
"""
