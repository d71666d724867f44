"""Networks that know nothing until they are trained on the classes at hand."""
