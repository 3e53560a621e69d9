"""What Istio ignores, refuses or suffers from, found in the files that configure a mesh."""
