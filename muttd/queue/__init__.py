"""The queue: durable streams of batches, and the live fan-out. The contract is in contract.py."""
