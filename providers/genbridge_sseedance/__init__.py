"""genbridge's plugin for sseedance."""
