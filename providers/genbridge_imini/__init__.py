"""genbridge's plugin for imini."""
