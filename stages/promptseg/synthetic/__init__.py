"""Drawing kit shared by the offline stand-ins of the datasets."""
