"""A small server that speaks the part of Stripe's API that Coffer uses. For the demo and the tests."""

from sandbox.server import SandboxServer

__all__ = ["SandboxServer"]
