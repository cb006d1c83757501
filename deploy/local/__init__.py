"""The servers that the worker needs, on one machine without containers: for the demo, the tests and a laptop.

Who has a Kafka, a Redis or a Triton of their own sets the worker's environment variables and needs nothing from here.
"""

from deploy.local.errors import InstallFailed, MissingDependency, StackError, StartFailed
from deploy.local.stack import LocalStack

__all__ = ["InstallFailed", "LocalStack", "MissingDependency", "StackError", "StartFailed"]
