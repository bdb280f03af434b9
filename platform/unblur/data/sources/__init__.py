"""One module per raw format."""
