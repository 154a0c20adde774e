"""The whole chain of a sign-in for tests: customers, their users' browsers, each replica, gateways beside."""
