"""The template of the report's page."""
