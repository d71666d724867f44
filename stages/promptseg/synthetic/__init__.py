"""The drawing kit that the offline samples of the datasets share."""
