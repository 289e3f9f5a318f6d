"""The store: rules, audit trail, alerts, configuration history. The contract: contract.py."""
