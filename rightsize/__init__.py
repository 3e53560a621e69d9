"""Capacity and cost right-sizing for Istio service meshes on Amazon EKS."""

__version__ = "0.1.0"
