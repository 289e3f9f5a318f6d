"""Where a password comes from: files, systemd credentials, Vault."""
