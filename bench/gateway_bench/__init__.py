"""What the gateway costs: ``make bench-gateway`` (see ``bench/README.md``)."""
