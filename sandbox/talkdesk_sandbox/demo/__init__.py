"""The demo workload: a small web app of one customer, as a partner would write it."""
