"""From a raw file to what a model may see: sources, filters, protocols, splits, the store."""
