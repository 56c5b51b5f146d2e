"""Trees of classes: one YAML file each, and what reads and checks them."""
