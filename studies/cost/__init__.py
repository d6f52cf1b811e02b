"""What runs would cost on accelerators, by arithmetic: time and memory, without running them."""
