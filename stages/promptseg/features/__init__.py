"""Features of a container's pictures, computed once, by as many processes as there are."""
