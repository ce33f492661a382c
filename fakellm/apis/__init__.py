"""The APIs that a completion can be sent through, one package each, and the protocol that they implement."""
