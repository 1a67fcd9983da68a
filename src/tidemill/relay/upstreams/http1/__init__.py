"""A pooled HTTP/1.1 client of our own: what a relay needs of one, and nothing that a relayed call would pay for."""

from tidemill.relay.upstreams.http1.pool import Http1Upstreams

__all__ = ["Http1Upstreams"]
